'use strict';
// A webhook as teams write it with Fastify and BullMQ: 202 when `add` has returned. Nobody works the jobs here.
// PORT and REDIS_PORT come from the environment; "ready" on standard output says that it listens.
const fastify = require('fastify');
const IORedis = require('ioredis');
const { Queue } = require('bullmq');

const connection = new IORedis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null });
const queue = new Queue('webhooks', { connection });

const app = fastify({ logger: false, bodyLimit: 1024 * 1024 });
app.post('/in', async (request, reply) => {
  const job = await queue.add('message', request.body);
  reply.code(202);
  return { id: job.id, status: 'accepted' };
});
app.listen({ host: '127.0.0.1', port: Number(process.env.PORT) }).then(() => console.log('ready'));
