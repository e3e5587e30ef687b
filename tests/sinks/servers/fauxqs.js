// SQS on a port of 127.0.0.1, in memory: node fauxqs.js DIRECTORY_OF_PACKAGE_JSON PORT
"use strict";
const { pathToFileURL } = require("node:url");
const [, , directory, port] = process.argv;

async function start() {
  // The package has no entry for require().
  const { buildApp } = await import(pathToFileURL(`${directory}/node_modules/fauxqs/dist/app.js`));
  await buildApp({ logger: false, host: "127.0.0.1" }).listen({ port: Number(port), host: "127.0.0.1" });
}

start().catch((failure) => {
  console.error(failure);
  process.exit(1);
});
