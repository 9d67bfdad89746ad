// Socket.IO as its documentation sets it up: one process, WebSocket alone, one message to a room per publish. The first
// line of its output says where it listens.
import { createServer } from 'node:http'
import { Server } from 'socket.io'

const http = createServer()
const io = new Server(http, {
  transports: ['websocket'],
  perMessageDeflate: false,
  httpCompression: false,
  pingInterval: 25_000,
  pingTimeout: 60_000,
})

io.on('connection', (socket) => {
  socket.on('join_room', (room, done) => {
    socket.join(room)
    done()
  })
  socket.on('message:send', (message) => {
    io.to(message.room).emit('message', message)
  })
})

http.listen(0, '127.0.0.1', () => {
  console.log(JSON.stringify({ address: http.address().port }))
})
