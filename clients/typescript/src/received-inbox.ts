/** What has been received of the inbox, which is the merge of two logs. Plain data. */
import type { Connected } from "./gen/carillon/v1/connection_pb.js";
import type { InboxPosition } from "./gen/carillon/v1/inbox_pb.js";
import type { StoredInbox } from "./positions.js";

/** A place in the inbox. */
export type InboxPlace = Pick<InboxPosition, "own" | "broadcast" | "epoch">;

/** How many unread notifications the hub sends at most to a session without a position. */
const UNREAD = 50n;
/**
 * How many places are remembered while some of those are still to come. Where fewer came than were counted (another
 * device read them meanwhile), the rest is given up at this number.
 */
const HANDED = 1_000;

/** The inbox's position. */
export class ReceivedInbox {
  private position: InboxPlace | undefined;
  /** Where the inbox ended when a session opened without a position: what is unread up to there is handed over. */
  private fresh: InboxPlace | undefined;
  /** How much of that is still to come; until then there is no position to carry on from. */
  private owed = 0n;
  /** What of it was handed over. */
  private handed: InboxPlace[] = [];

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
    return this.owed === 0n ? this.position : undefined;
  }

  /** The same as a caller may store it. */
  stored(): StoredInbox | undefined {
    const at = this.resume();
    return at && { own: String(at.own), broadcast: String(at.broadcast), epoch: String(at.epoch) };
  }

  /** A session is open. True when the inbox is of another life than the position: the caller's copy is void. */
  connected(connected: Connected): boolean {
    const [ours, theirs] = [this.position, connected.inbox];
    if (theirs === undefined) return false;
    const sameLife = ours?.epoch === theirs.epoch;
    if (sameLife && this.owed === 0n) {
      this.fresh = undefined;
      return false;
    }
    if (!sameLife) this.handed = [];
    this.owed = connected.inboxUnread < UNREAD ? connected.inboxUnread : UNREAD;
    this.position = theirs;
    this.fresh = theirs;
    return ours !== undefined && !sameLife;
  }

  /** A notification came. False: it is a duplicate, drop it. */
  notification(place: InboxPlace | undefined): boolean {
    if (place !== undefined && this.owed > 0n && !this.take(place)) return false;
    return this.isNews(place);
  }

  /** A notification came while some are still to come. False: it was handed over by an earlier session. */
  private take(place: InboxPlace): boolean {
    this.owed -= 1n;
    const isNew = !this.handed.some(
      (other) => other.own === place.own && other.broadcast === place.broadcast,
    );
    if (this.owed === 0n || this.handed.length >= HANDED) {
      this.owed = 0n;
      this.handed = [];
    } else if (isNew) {
      this.handed.push(place);
    }
    return isNew;
  }

  private isNews(theirs: InboxPlace | undefined): boolean {
    const ours = this.position;
    if (theirs === undefined || ours === undefined || theirs.epoch !== ours.epoch) {
      this.position = theirs ?? ours;
      return true;
    }
    if (isWithin(theirs, ours)) return this.fresh !== undefined && isWithin(theirs, this.fresh);
    this.position = {
      own: later(ours.own, theirs.own),
      broadcast: later(ours.broadcast, theirs.broadcast),
      epoch: ours.epoch,
    };
    return true;
  }
}

function isWithin(place: InboxPlace, bound: InboxPlace): boolean {
  return place.own <= bound.own && place.broadcast <= bound.broadcast;
}

function later(ours: bigint, theirs: bigint): bigint {
  return ours < theirs ? theirs : ours;
}
