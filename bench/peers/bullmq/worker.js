'use strict';
// Works jobs that are nothing to do: its processor returns at once.
// REDIS_PORT, QUEUE and CONCURRENCY come from the environment.
const IORedis = require('ioredis');
const { Worker } = require('bullmq');

const connection = new IORedis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null });
const worker = new Worker(process.env.QUEUE, async () => undefined, {
  connection,
  concurrency: Number(process.env.CONCURRENCY),
});
worker.on('error', (error) => console.error(error.message));
