// The stack that Penstock is measured against: express, express-rate-limit, and each event inserted
// durably by better-sqlite3 before the 202. One process, as such services are usually run.
// usage: node server.js PORT DATABASE
'use strict';

const crypto = require('node:crypto');
const Database = require('better-sqlite3');
const express = require('express');
const { rateLimit } = require('express-rate-limit');

const [port, file] = process.argv.slice(2);
const maxBody = '1mb';

const db = new Database(file);
db.pragma('journal_mode = WAL');
db.pragma('synchronous = FULL');
db.exec(`CREATE TABLE IF NOT EXISTS events (
  id TEXT PRIMARY KEY, received_at TEXT NOT NULL, content_type TEXT, body BLOB NOT NULL)`);
const insert = db.prepare('INSERT INTO events VALUES (?, ?, ?, ?)');

const app = express();
app.disable('x-powered-by');
app.use(rateLimit({
  windowMs: 15 * 60 * 1000,
  limit: 1_000_000_000, // never reached: what is measured is admission
  standardHeaders: 'draft-8',
  legacyHeaders: false,
}));
app.use(express.raw({ type: () => true, limit: maxBody }));

app.post('/v1/events', (req, res) => {
  if (req.is('application/json')) {
    try {
      JSON.parse(req.body);
    } catch {
      return res.status(400).json({ title: 'not JSON' });
    }
  }
  const id = crypto.randomUUID();
  insert.run(id, new Date().toISOString(), req.get('content-type') ?? null, req.body);
  res.status(202).json({ id });
});

app.post('/v1/events/batch', (req, res) => {
  const ids = [];
  const all = db.transaction((lines) => {
    for (const line of lines) {
      JSON.parse(line);
      ids.push(crypto.randomUUID());
      insert.run(ids.at(-1), new Date().toISOString(), 'application/json', Buffer.from(line));
    }
  });
  all(req.body.toString().split('\n').filter(Boolean));
  res.status(202).json({ accepted: ids.length });
});

const server = app.listen(Number(port), '127.0.0.1');
process.on('SIGTERM', () => {
  server.closeAllConnections();
  server.close();
  db.close();
});
