// A hub on a real port that sends and receives frames as they are.
import { once } from "node:events";
import type { AddressInfo } from "node:net";
import { WebSocket, WebSocketServer } from "ws";
import { CODES, type KnownCode } from "../../src/codes.js";
import type { WebSocketConstructor } from "../../src/index.js";
import { Channel, inTime } from "./channel.js";

/** One session, seen from the hub. */
export class Peer {
  readonly frames = new Channel<Uint8Array | string>("a frame");

  constructor(private readonly socket: WebSocket) {
    socket.on("message", (data: Buffer, isBinary: boolean) =>
      this.frames.push(isBinary ? new Uint8Array(data) : data.toString("utf8")),
    );
  }

  get isOpen(): boolean {
    return this.socket.readyState === WebSocket.OPEN;
  }

  send(data: Uint8Array | string): void {
    this.socket.send(data);
  }

  /** The connection breaks without a word. */
  break(): void {
    this.socket.terminate();
  }

  /** The session ends with a code. */
  end(code: string): void {
    this.socket.close(CODES[code as KnownCode].close, code);
  }

  /** The client ends the connection. */
  async left(): Promise<void> {
    if (this.socket.readyState !== WebSocket.CLOSED) await inTime(once(this.socket, "close"), "the end");
  }

  /** All that either side sent before has come. */
  async settled(): Promise<void> {
    if (!this.isOpen) return;
    const pong = once(this.socket, "pong");
    this.socket.ping();
    await inTime(pong, "a pong");
  }
}

/** The hub, and when it was dialled. */
export class Hub {
  readonly sessions = new Channel<Peer>("a session");
  readonly dialledAt: number[] = [];

  private constructor(private readonly server: WebSocketServer) {
    server.on("connection", (socket) => this.sessions.push(new Peer(socket)));
  }

  static async start(): Promise<Hub> {
    const handleProtocols = (offered: Set<string>) => [...offered][0] ?? false;
    const server = new WebSocketServer({ host: "127.0.0.1", port: 0, handleProtocols });
    await once(server, "listening");
    return new Hub(server);
  }

  get url(): string {
    return `ws://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  /** The class of sockets that clients dial with. */
  get WebSocket(): WebSocketConstructor {
    const { dialledAt } = this;
    class Dialled extends WebSocket {
      constructor(url: string, protocols: string[]) {
        dialledAt.push(Date.now());
        super(url, protocols);
      }
    }
    return Dialled as unknown as WebSocketConstructor;
  }

  stop(): void {
    for (const socket of this.server.clients) socket.terminate();
    this.server.close();
  }
}
