'use strict';
// Adds JOBS jobs, each with PAYLOAD (JSON), in bulk; they leave nothing behind when they are done.
// REDIS_PORT and QUEUE come from the environment too.
const IORedis = require('ioredis');
const { Queue } = require('bullmq');

const BATCH = 1000;

async function main() {
  const connection = new IORedis({ host: '127.0.0.1', port: Number(process.env.REDIS_PORT), maxRetriesPerRequest: null });
  const queue = new Queue(process.env.QUEUE, { connection });
  const data = JSON.parse(process.env.PAYLOAD);
  for (let left = Number(process.env.JOBS); left > 0; left -= BATCH) {
    const jobs = Array.from({ length: Math.min(left, BATCH) }, () => ({
      name: 'message',
      data,
      opts: { removeOnComplete: true },
    }));
    await queue.addBulk(jobs);
  }
  await queue.close();
  await connection.quit();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
