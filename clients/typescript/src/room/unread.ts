/** How many messages of a room are unread: the head's number less the number at one's read mark. Both only grow. */

/** The two numbers, as far as this client knows them. Shared by the room object and the list of rooms. */
export class ReadState {
  private head = 0n;
  private read: bigint | undefined;

  /** Unread messages. 0 where nothing is known of the read mark. */
  get unread(): number {
    return this.read === undefined || this.read > this.head ? 0 : Number(this.head - this.read);
  }

  /** A message of this number exists. */
  came(number: bigint): void {
    if (number > this.head) this.head = number;
  }

  /** One has read up to the message of this number. */
  readUpTo(number: bigint): void {
    if (this.read === undefined || number > this.read) this.read = number;
  }

  /** All that is loaded begins after the message of this number: where nothing is known, what came before counts as read. */
  assumeReadUpTo(number: bigint): void {
    this.read ??= number;
  }

  /** The hub told how many are unread up to the message of this number. */
  told(headNumber: bigint, unread: bigint): void {
    this.came(headNumber);
    this.readUpTo(headNumber - unread);
  }

  /** The hub told how many are unread, but not up to where. */
  toldCount(unread: bigint): void {
    if (this.read === undefined) this.told(unread > this.head ? unread : this.head, unread);
    // Fewer than known: they were read on another device.
    else if (unread < BigInt(this.unread)) this.readUpTo(this.head - unread);
    else this.came(this.read + unread);
  }
}
