/**
 * What has been received of the inbox, which is the merge of two logs: the highest place of each. Plain data, as
 * `clients/rust` has it.
 */
import type { Connected } from "./gen/carillon/v1/connection_pb.js";
import type { InboxPosition } from "./gen/carillon/v1/inbox_pb.js";
import type { StoredInbox } from "./positions.js";

/** A place in the inbox. */
export type InboxPlace = Pick<InboxPosition, "own" | "broadcast" | "epoch">;

/** The inbox's position. */
export class ReceivedInbox {
  private position: InboxPlace | undefined;

  /** Carries on from what a caller stored. */
  constructor(stored?: StoredInbox) {
    this.position = stored && {
      own: BigInt(stored.own),
      broadcast: BigInt(stored.broadcast),
      epoch: BigInt(stored.epoch),
    };
  }

  /** Where the inbox can be carried on from. */
  resume(): InboxPlace | undefined {
    return this.position;
  }

  /** The same as a caller may store it. */
  stored(): StoredInbox | undefined {
    const at = this.position;
    return at && { own: String(at.own), broadcast: String(at.broadcast), epoch: String(at.epoch) };
  }

  /** A session is open. True when the inbox is of another life than the position: the caller's copy is void. */
  connected({ inbox: head, inboxAfter, inboxUnread }: Connected): boolean {
    const ours = this.position;
    if (head === undefined) return false;
    // Beyond the head is what the hub has lost: what comes will take its places.
    const isThere = ours?.epoch === head.epoch && ours.own <= head.own && ours.broadcast <= head.broadcast;
    if (isThere) return false;
    // Where unread ones follow, the place is before them, and moves with each.
    this.position = inboxUnread > 0n ? inboxAfter : head;
    return ours !== undefined;
  }

  /** A notification came. False: it is a duplicate, drop it. */
  notification(theirs: InboxPlace | undefined): boolean {
    const ours = this.position;
    if (theirs === undefined || ours === undefined || theirs.epoch !== ours.epoch) {
      this.position = theirs ?? ours;
      return true;
    }
    if (theirs.own <= ours.own && theirs.broadcast <= ours.broadcast) return false;
    this.position = {
      own: later(ours.own, theirs.own),
      broadcast: later(ours.broadcast, theirs.broadcast),
      epoch: ours.epoch,
    };
    return true;
  }
}

function later(ours: bigint, theirs: bigint): bigint {
  return ours < theirs ? theirs : ours;
}
