const headBytes = 8;
const fillings = 97;

/**
 * One message of a counted stream, which says itself what it is: the stream's number and its own number in four bytes
 * each, then `number % 97` bytes that are all `number % 256`.
 */
export function numberedMessage(stream: number, number: number): Buffer {
  const message = Buffer.allocUnsafe(headBytes + (number % fillings));
  message.writeUInt32BE(stream, 0);
  message.writeUInt32BE(number, 4);
  return message.fill(number % 256, headBytes);
}
