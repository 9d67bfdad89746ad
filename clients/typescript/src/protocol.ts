/**
 * The protocol's messages as protobuf-es makes them, with their schemas: for programs that work with frames themselves.
 * The client does not need the schemas, and so a browser does not load them.
 */
export * from "./gen/carillon/v1/common_pb.js";
export * from "./gen/carillon/v1/connection_pb.js";
export * from "./gen/carillon/v1/conversations_pb.js";
export * from "./gen/carillon/v1/events_pb.js";
export * from "./gen/carillon/v1/history_pb.js";
export * from "./gen/carillon/v1/inbox_pb.js";
export * from "./gen/carillon/v1/messages_pb.js";
export * from "./gen/carillon/v1/presence_pb.js";
export * from "./gen/carillon/v1/rooms_pb.js";
export * from "./gen/carillon/v1/session_pb.js";
