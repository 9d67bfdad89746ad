// Puts the load of `carillon bench fanout` on Socket.IO: receivers in one room, each a WebSocket of its own, every
// delivery counted and checked for order. Prints one JSON object with the fields of that benchmark.
//
//   node load.mjs [--receivers 1000] [--rate 100 | --burst 64] [--size 200] [--seconds 10]
//
// The client speaks just enough of Engine.IO 4 and Socket.IO 5 (see socket.io-protocol) over `ws`, because a client
// that does more would be the limit. The server's CPU is read from /proc.
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import WebSocket from 'ws'

const { values } = parseArgs({
  options: {
    receivers: { type: 'string', default: '1000' },
    rate: { type: 'string' },
    burst: { type: 'string' },
    size: { type: 'string', default: '200' },
    seconds: { type: 'string', default: '10' },
    'server-cpus': { type: 'string', default: '0' },
  },
})
const receivers = Number(values.receivers)
const rate = values.rate ? Number(values.rate) : undefined
const burst = Number(values.burst ?? 64)
const seconds = Number(values.seconds)
const filling = 'abcdefghijklmnopqrstuvwxyz'.repeat(400).slice(0, Number(values.size))

const ROOM = 'conversation:bench'
/** What was sent so far; messages are numbered from 0. */
let sent = 0
let delivered = 0
let outOfOrder = 0
let duplicated = 0
let wrong = 0

/** Ticks of the processor that a process used, in seconds (proc(5): fields 14 and 15 of stat). */
function cpu(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}

function startServer() {
  const server = new URL('server.mjs', import.meta.url).pathname
  const child = spawn('taskset', ['-c', values['server-cpus'], process.execPath, server], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  process.on('exit', () => child.kill('SIGKILL'))
  return new Promise((resolve, reject) => {
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}`)))
    createInterface({ input: child.stdout }).once('line', (line) => {
      resolve({ child, port: JSON.parse(line).address })
    })
  })
}

/** Opens a socket and, for a receiver, joins the room. */
function open(port, receives) {
  const socket = new WebSocket(`ws://127.0.0.1:${port}/socket.io/?EIO=4&transport=websocket`, {
    perMessageDeflate: false,
    skipUTF8Validation: true,
  })
  let next = 0
  return new Promise((resolve, reject) => {
    socket.on('error', reject)
    socket.on('message', (data) => {
      // Engine.IO: 0 open, 2 ping, 4 message; within it Socket.IO: 0 connected, 2 event, 3 acknowledgement.
      if (data[0] === 0x30) socket.send('40')
      else if (data[0] === 0x32) socket.send('3')
      else if (data[0] !== 0x34) return
      else if (data[1] === 0x30) receives ? socket.send(`421["join_room","${ROOM}"]`) : resolve(socket)
      else if (data[1] === 0x33) resolve(socket)
      else if (data[1] === 0x32) next = receive(data, next)
    })
  })
}

const NUMBER = '42["message",{"room":"conversation:bench","number":'.length
const END = Buffer.from(`,"text":"${filling}"}]`)

/** Checks and counts a delivery; gives the number that the receiver must get next. */
function receive(data, next) {
  let number = 0
  let at = NUMBER
  for (; data[at] >= 0x30 && data[at] <= 0x39; at += 1) number = number * 10 + data[at] - 0x30
  if (data.length - at !== END.length || data.compare(END, 0, END.length, at) !== 0) wrong += 1
  if (number < next) {
    duplicated += 1
    return next
  }
  if (number > next) outOfOrder += 1
  delivered += 1
  return number + 1
}

const settled = () => delivered >= sent * receivers
const turn = () => new Promise((resolve) => setImmediate(resolve))

function send(socket) {
  socket.send(`42["message:send",{"room":"${ROOM}","number":${sent},"text":"${filling}"}]`)
  sent += 1
}

async function load(socket, length) {
  const start = performance.now()
  const elapsed = () => performance.now() - start
  for (let count = 0; elapsed() < length * 1_000; ) {
    if (rate === undefined) {
      if (settled()) for (let left = burst; left > 0; left -= 1) send(socket)
    } else {
      for (; count < (elapsed() / 1_000) * rate; count += 1) send(socket)
      await new Promise((resolve) => setTimeout(resolve, 1))
    }
    await turn()
  }
  for (let last = delivered, since = elapsed(); !settled(); await turn()) {
    if (delivered !== last) [last, since] = [delivered, elapsed()]
    else if (elapsed() - since > 5_000) break
  }
  return elapsed() / 1_000
}

const { child, port } = await startServer()
const sender = await open(port, false)
for (let opened = 0; opened < receivers; opened += 50) {
  await Promise.all(Array.from({ length: Math.min(50, receivers - opened) }, () => open(port, true)))
}
await load(sender, 0.5)
const before = { delivered, cpu: cpu(child.pid), client: cpu('self') }
const wall = await load(sender, seconds)
const used = cpu(child.pid) - before.cpu
const deliveries = delivered - before.delivered
const expected = sent * receivers
console.log(
  JSON.stringify({
    bench: 'fanout',
    parameters: { receivers, pace: rate ? `${rate} messages/s` : `bursts of ${burst}`, hub: 'socket.io' },
    expected,
    delivered,
    lost: expected - delivered,
    duplicated,
    out_of_order: outOfOrder,
    faults: wrong,
    deliveries_per_s: deliveries / wall,
    server_cpu_us_per_delivery: (used * 1e6) / deliveries,
    deliveries_per_server_cpu_s: deliveries / used,
    client_cpu: (cpu('self') - before.client) / wall,
  }),
)
const clean = delivered === expected && duplicated + outOfOrder + wrong === 0
process.exit(clean ? 0 : 1)
