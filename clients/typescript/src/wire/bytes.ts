/** Reading and writing protobuf's wire format: varints, fixed numbers, lengths. */

/** A frame ended within a value, or holds what is no protobuf. */
export class WireError extends Error {
  override readonly name = "WireError";
}

const encoder = new TextEncoder();
/** Strict, as protobuf is, and with a byte order mark kept, which is text like any other. */
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Collects the bytes of one message. */
export class Writer {
  private bytes = new Uint8Array(64);
  private length = 0;

  /** The bytes so far. Shares them with the writer, which is not used any more. */
  finish(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** An unsigned number below 2^32. */
  uint32(value: number): void {
    let rest = value >>> 0;
    while (rest > 0x7f) {
      this.byte((rest & 0x7f) | 0x80);
      rest >>>= 7;
    }
    this.byte(rest);
  }

  /** A 64-bit number; a negative one as its two's complement. */
  uint64(value: bigint): void {
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.byte(Number(rest & 0x7fn) | 0x80);
      rest >>= 7n;
    }
    this.byte(Number(rest));
  }

  /** Four bytes, the lowest first. */
  fixed32(value: number): void {
    for (let shift = 0; shift < 32; shift += 8) this.byte((value >>> shift) & 0xff);
  }

  /** Bytes with their length before them. */
  delimited(value: Uint8Array): void {
    this.uint32(value.length);
    this.reserve(value.length);
    this.bytes.set(value, this.length);
    this.length += value.length;
  }

  /** UTF-8 with its length before it. */
  string(value: string): void {
    this.delimited(encoder.encode(value));
  }

  private byte(value: number): void {
    this.reserve(1);
    this.bytes[this.length] = value;
    this.length += 1;
  }

  private reserve(more: number): void {
    if (this.length + more <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(this.bytes.length * 2, this.length + more));
    larger.set(this.bytes);
    this.bytes = larger;
  }
}

/** Reads one message. */
export class Reader {
  private position = 0;

  constructor(private readonly bytes: Uint8Array) {}

  /** Whether all was read. */
  get atEnd(): boolean {
    return this.position >= this.bytes.length;
  }

  /** The low 32 bits of a varint, unsigned. */
  uint32(): number {
    let value = 0;
    for (let shift = 0; shift < 70; shift += 7) {
      const byte = this.byte();
      if (shift < 32) value |= (byte & 0x7f) << shift;
      if (byte < 0x80) return value >>> 0;
    }
    throw new WireError("a varint without end");
  }

  /** A varint of 64 bits, unsigned. */
  uint64(): bigint {
    let value = 0n;
    for (let shift = 0n; shift < 70n; shift += 7n) {
      const byte = this.byte();
      value |= BigInt(byte & 0x7f) << shift;
      if (byte < 0x80) return BigInt.asUintN(64, value);
    }
    throw new WireError("a varint without end");
  }

  /** Four bytes, the lowest first. */
  fixed32(): number {
    const bytes = this.take(4);
    return new DataView(bytes.buffer, bytes.byteOffset).getUint32(0, true);
  }

  /** Bytes with their length before them; they share the frame's memory. */
  delimited(): Uint8Array {
    return this.take(this.uint32());
  }

  /** UTF-8 with its length before it. */
  string(): string {
    try {
      return decoder.decode(this.delimited());
    } catch (error) {
      throw error instanceof WireError ? error : new WireError("text that is no UTF-8");
    }
  }

  /** Passes over the value of a field that is not known. */
  skip(wireType: number): void {
    if (wireType === 0) this.uint64();
    else if (wireType === 1) this.take(8);
    else if (wireType === 2) this.delimited();
    else if (wireType === 3) this.skipGroup();
    else if (wireType === 5) this.take(4);
    else throw new WireError(`wire type ${wireType}`);
  }

  /** A group, as old protobuf has them: all up to its end. */
  private skipGroup(): void {
    for (let tag = this.uint32(); (tag & 7) !== 4; tag = this.uint32()) this.skip(tag & 7);
  }

  private byte(): number {
    const byte = this.bytes[this.position];
    if (byte === undefined) throw new WireError("the frame ends within a value");
    this.position += 1;
    return byte;
  }

  private take(length: number): Uint8Array {
    const end = this.position + length;
    if (end > this.bytes.length) throw new WireError("the frame ends within a value");
    const bytes = this.bytes.subarray(this.position, end);
    this.position = end;
    return bytes;
  }
}
