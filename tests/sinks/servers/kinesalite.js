// Kinesis on a port of 127.0.0.1, in memory: node kinesalite.js DIRECTORY_OF_PACKAGE_JSON PORT
"use strict";
const { createRequire } = require("node:module");
const [, , directory, port] = process.argv;
const kinesalite = createRequire(`${directory}/package.json`)("kinesalite");

kinesalite({ createStreamMs: 0, deleteStreamMs: 0, shardLimit: 100 }).listen(Number(port), "127.0.0.1");
