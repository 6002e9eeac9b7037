// Socket.IO on several servers that hear of each other through Redis, by subscriptions or by a stream;
// and a process without a server that speaks to their clients. Usage: node socket_io.js PORT ADAPTER
"use strict";

const { createServer } = require("node:http");
const { once } = require("node:events");
const Redis = require("ioredis");
const { createClient } = require("redis");
const { Server } = require("socket.io");
const connect = require("socket.io-client");
const { createAdapter } = require("@socket.io/redis-adapter");
const streams = require("@socket.io/redis-streams-adapter");
const { Emitter } = require("@socket.io/redis-emitter");
const { PORT, eventually, report, run, said } = require("./report.js");

const ADAPTER = process.argv[3];
const SERVERS = 4;
const CLIENTS_EACH = 5;

async function nodeRedis() {
  const client = createClient({ socket: { host: "127.0.0.1", port: PORT } });
  client.on("error", (error) => console.error("node-redis:", error.message));
  return client.connect();
}

// As the pages of each adapter show it.
async function adapter() {
  if (ADAPTER === "@socket.io/redis-streams-adapter") return streams.createAdapter(await nodeRedis());
  const publisher = new Redis({ host: "127.0.0.1", port: PORT });
  return createAdapter(publisher, publisher.duplicate());
}

async function server(number) {
  const http = createServer();
  const io = new Server(http, { adapter: await adapter() });
  io.on("connection", async (socket) => {
    await socket.join(`server ${number}`);
    socket.on("shout", (text) => io.emit("heard", text));
    socket.on("others", (text) => socket.broadcast.emit("heard", text));
  });
  io.on("asked", (text, answer) => answer(`server ${number}: ${text}`));
  await once(http.listen(0, "127.0.0.1"), "listening");
  const clients = Array.from({ length: CLIENTS_EACH }, () => {
    const socket = connect(`http://127.0.0.1:${http.address().port}`, { transports: ["websocket"] });
    socket.heard = [];
    socket.on("heard", (text) => socket.heard.push(text));
    return socket;
  });
  await eventually(() => clients.every((socket) => socket.connected));
  return { io, clients };
}

run(async () => {
  const jobs = {};
  const servers = [];
  for (let number = 0; number < SERVERS; number += 1) servers.push(await server(number));
  const clients = servers.flatMap((each) => each.clients);
  const all = SERVERS * CLIENTS_EACH;
  // Each server has heard of the others once it counts all clients.
  for (const { io } of servers) {
    await eventually(async () => {
      const sockets = await said(io.fetchSockets());
      return Array.isArray(sockets) && sockets.length === all;
    });
  }
  const heard = (count) => eventually(() => clients.every((each) => each.heard.length >= count));

  clients[0].emit("shout", "to all");
  await heard(1);
  servers[1].io.to("server 3").emit("heard", "to a room");
  await eventually(() => servers[3].clients.every((each) => each.heard.length === 2));
  await servers[2].io.in("server 0").socketsJoin("moved");
  await eventually(async () => (await servers[3].io.in("moved").fetchSockets()).length === CLIENTS_EACH);
  servers[3].io.to("moved").emit("heard", "to those that have moved");
  await eventually(() => servers[0].clients.every((each) => each.heard.length === 2));
  jobs["rooms"] = clients.map((each) => each.heard);
  if (ADAPTER === "@socket.io/redis-adapter") {
    const answers = await servers[0].io.serverSideEmitWithAck("asked", "who?");
    jobs["servers ask each other"] = answers.sort();
    const emitter = new Emitter(new Redis({ host: "127.0.0.1", port: PORT }));
    emitter.to("server 2").emit("heard", "from outside");
    await eventually(() => servers[2].clients.every((each) => each.heard.includes("from outside")));
    jobs["an emitter"] = clients.map((each) => each.heard.length);
  }
  await servers[1].io.in("moved").disconnectSockets(true);
  await eventually(() => servers[0].clients.every((each) => !each.connected));
  jobs["disconnected"] = clients.map((each) => each.connected);
  report(ADAPTER, jobs);
});
