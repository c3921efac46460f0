// A BullMQ program in Node: takes commands as lines of JSON on stdin, prints answers and what its workers do.
//
//   {"id": 1, "do": "queue", "queue": "name", "method": "add", "args": ["job", {"a": 1}, {}]}
//   {"id": 1, "ok": {...}}   or   {"id": 1, "error": "..."}
//   {"event": "completed", "worker": "w1", "job": "7", ...}
//
// What a worker does with a job is said by the job's data: {"fail": "why"} fails at each attempt, {"failUntil": 3}
// at the first two, {"holdMs": 50} takes so long; all others are done at once and return {"node": name of the job}.
const { Queue, QueueEvents, Worker, FlowProducer, Job } = require("bullmq");

const [port, prefix] = process.argv.slice(2);
const connection = { host: "127.0.0.1", port: Number(port), maxRetriesPerRequest: null };
const queues = new Map();
const workers = new Map();
const listeners = [];
const flows = new FlowProducer({ connection, prefix });
let board = null;

const say = (line) => process.stdout.write(JSON.stringify(line) + "\n");
const plain = (value) => {
  if (value instanceof Job) {
    const { id, failedReason, processedBy } = value;
    return { ...value.asJSON(), id, failedReason, processedBy };
  }
  if (Array.isArray(value)) return value.map(plain);
  return value === undefined ? null : value;
};

function queueOf(name) {
  if (!queues.has(name)) {
    const queue = new Queue(name, { connection, prefix });
    queue.on("error", (error) => say({ event: "error", error: error.message }));
    queues.set(name, queue);
  }
  return queues.get(name);
}

async function work(job) {
  const data = job.data ?? {};
  say({ event: "active", job: job.id, name: job.name, data, attempt: job.attemptsMade + 1 });
  if (data.holdMs) await new Promise((resolve) => setTimeout(resolve, data.holdMs));
  if (data.fail) throw new Error(data.fail);
  if (data.failUntil && job.attemptsMade + 1 < data.failUntil) throw new Error("not yet");
  if (data.children) return { children: await job.getChildrenValues() };
  return { node: job.name };
}

function startWorker({ queue, name, options }) {
  const worker = new Worker(queue, work, { connection, prefix, name, ...options });
  worker.on("completed", (job, result) => say({ event: "completed", worker: name, job: job.id, data: job.data, result }));
  worker.on("failed", (job, error) =>
    say({ event: "failed", worker: name, job: job?.id, error: error.message, attempts: job?.attemptsMade }),
  );
  worker.on("error", (error) => say({ event: "error", error: error.message }));
  workers.set(name, worker);
  return worker.waitUntilReady().then(() => true);
}

function startListening({ queue }) {
  const events = new QueueEvents(queue, { connection, prefix });
  for (const what of ["completed", "failed", "stalled"]) {
    events.on(what, ({ jobId, failedReason }) => say({ event: "heard", queue, what, job: jobId, failedReason }));
  }
  listeners.push(events);
  return events.waitUntilReady().then(() => true);
}

function startBoard({ queues: names }) {
  const express = require("express");
  const { createBullBoard } = require("@bull-board/api");
  const { BullMQAdapter } = require("@bull-board/api/bullMQAdapter");
  const { ExpressAdapter } = require("@bull-board/express");
  const adapter = new ExpressAdapter();
  createBullBoard({ queues: names.map((name) => new BullMQAdapter(queueOf(name))), serverAdapter: adapter });
  const site = express();
  site.use("/", adapter.getRouter());
  return new Promise((resolve) => {
    board = site.listen(0, "127.0.0.1", () => resolve(board.address().port));
  });
}

const commands = {
  queue: async ({ queue, method, args }) => plain(await queueOf(queue)[method](...(args ?? []))),
  job: async ({ queue, job, method, args }) => {
    const found = await queueOf(queue).getJob(job);
    if (!found) throw new Error(`no job ${job}`);
    return method ? plain(await found[method](...(args ?? []))) : plain(found);
  },
  flow: async ({ tree }) => {
    const added = await flows.add(tree);
    return { id: added.job.id, children: (added.children ?? []).map((child) => child.job.id) };
  },
  work: startWorker,
  worker: async ({ name, method, args }) => plain(await workers.get(name)[method](...(args ?? []))),
  stop: async ({ name, force }) => {
    await workers.get(name).close(force);
    return workers.delete(name);
  },
  listen: startListening,
  board: startBoard,
  script: ({ script }) => require("bullmq/dist/cjs/scripts")[script].content,
};

async function answer(line) {
  const command = JSON.parse(line);
  try {
    say({ id: command.id, ok: (await commands[command.do](command)) ?? null });
  } catch (error) {
    say({ id: command.id, error: error.message });
  }
}

async function end() {
  if (board) board.close(), board.closeAllConnections();
  await Promise.all([...workers.values()].map((worker) => worker.close(true)));
  await Promise.all([...queues.values(), ...listeners, flows].map((each) => each.close()));
  process.exit(0);
}

require("node:readline").createInterface({ input: process.stdin }).on("line", answer).on("close", end);
say({ event: "ready" });
