'use strict';
// A webhook as teams write it with Express and BullMQ: 202 when `add` has returned.
// PORT and REDIS_PORT come from the environment; "ready" on standard output says that it listens. With WORK=no the
// jobs stay where they are.
const express = require('express');
const IORedis = require('ioredis');
const { Queue, Worker } = require('bullmq');

const redis = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) };
const connection = new IORedis({ ...redis, maxRetriesPerRequest: null });
const queue = new Queue('webhooks', {
  connection,
  defaultJobOptions: { removeOnComplete: true, removeOnFail: 1000 },
});
if (process.env.WORK !== 'no') {
  // The other side of the queue works jobs off, as our route does with its sink.
  const worker = new Worker('webhooks', async () => undefined, {
    connection: new IORedis({ ...redis, maxRetriesPerRequest: null }),
    concurrency: 50,
  });
  worker.on('error', (error) => console.error(error.message));
}

const app = express();
app.disable('x-powered-by');
app.use(express.json({ limit: '1mb' }));
app.post('/in', async (request, response) => {
  const job = await queue.add('message', request.body);
  response.status(202).json({ id: job.id, status: 'accepted' });
});
app.listen(Number(process.env.PORT), '127.0.0.1', () => console.log('ready'));
