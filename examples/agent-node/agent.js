// An agent for edgerig in JavaScript: one file, Node.js alone, no package. docs/agent-protocol.md is all it knows.
//
// The rule is that of examples/agent-c: services by the tasks of the last frame that a byte of storage would serve, most
// first, as long as they fit; in whole numbers, so that any language decides the same; ties go to the lowest service.
//
// Read from the bottom: the agent, then the rule, then a ZeroMQ DEALER in as much of ZMTP 3.0 as is needed (RFC 23; with
// keys RFC 26), then msgpack. With the package `zeromq` its Dealer takes the place of the class here, and half the file goes.
'use strict';
const crypto = require('node:crypto');
const fs = require('node:fs');
const net = require('node:net');

const MOST_BYTES = 64 * 2 ** 20; // of a frame that comes; longer ones are an attack
const LINGER_MS = 200;
const RECONNECT_MS = 100;
const REPAIR_MS = 2000; // until it tries again after something that will hardly mend by itself

// -- msgpack, as far as the protocol uses it --------------------------------------------------------------------------

function pack(value) {
  if (typeof value === 'boolean') return Buffer.from([value ? 0xc3 : 0xc2]);
  if (typeof value === 'string') return Buffer.concat([sized(0xdb, Buffer.byteLength(value)), Buffer.from(value)]);
  if (typeof value === 'number') { // here always a whole number, 0 or more
    const long = Buffer.from([0xcf, 0, 0, 0, 0, 0, 0, 0, 0]);
    long.writeBigUInt64BE(BigInt(value), 1);
    return long;
  }
  if (Array.isArray(value)) return Buffer.concat([sized(0xdd, value.length), ...value.map(pack)]);
  const entries = Object.entries(value);
  return Buffer.concat([sized(0xdf, entries.length), ...entries.flatMap(([key, each]) => [pack(key), pack(each)])]);
}

function sized(type, size) {
  const head = Buffer.from([type, 0, 0, 0, 0]);
  head.writeUInt32BE(size, 1);
  return head;
}

function unpack(data) { // throws where it is no msgpack: reading past the end of a Buffer does
  let at = 0;
  const uint = (bytes) => (bytes === 8 ? Number(data.readBigUInt64BE((at += 8) - 8)) : data.readUIntBE((at += bytes) - bytes, bytes));
  const int = (bytes) => (bytes === 8 ? Number(data.readBigInt64BE((at += 8) - 8)) : data.readIntBE((at += bytes) - bytes, bytes));
  const bytes = (size) => {
    if (size > data.length - at) throw new RangeError('msgpack ends too soon');
    return data.subarray(at, (at += size));
  };
  const text = (size) => bytes(size).toString();
  const array = (size) => {
    const items = [];
    for (let k = 0; k < size; k++) items.push(value());
    return items;
  };
  const map = (size) => {
    const found = new Map();
    for (let k = 0; k < size; k++) found.set(value(), value());
    return found;
  };
  function value() {
    const type = uint(1);
    if (type < 0x80) return type;
    if (type < 0x90) return map(type & 15);
    if (type < 0xa0) return array(type & 15);
    if (type < 0xc0) return text(type & 31);
    if (type >= 0xe0) return type - 256;
    switch (type) {
      case 0xc0: return null;
      case 0xc2: return false;
      case 0xc3: return true;
      case 0xc4: case 0xc5: case 0xc6: return bytes(uint(1 << (type - 0xc4)));
      case 0xca: return data.readFloatBE((at += 4) - 4);
      case 0xcb: return data.readDoubleBE((at += 8) - 8);
      case 0xcc: case 0xcd: case 0xce: case 0xcf: return uint(1 << (type - 0xcc));
      case 0xd0: case 0xd1: case 0xd2: case 0xd3: return int(1 << (type - 0xd0));
      case 0xd9: case 0xda: case 0xdb: return text(uint(1 << (type - 0xd9)));
      case 0xdc: case 0xdd: return array(uint(2 << (type - 0xdc)));
      case 0xde: case 0xdf: return map(uint(2 << (type - 0xde)));
      default: throw new RangeError(`msgpack of type ${type}`);
    }
  }
  return value();
}

// -- boxes (NaCl's: X25519, XSalsa20, Poly1305), for runs with keys ---------------------------------------------------

const wordsOf = (bytes) => Array.from({ length: bytes.length / 4 }, (_, k) => bytes.readUInt32LE(4 * k));
const SIGMA = wordsOf(Buffer.from('expand 32-byte k'));
const QUARTERS = [0, 4, 8, 12, 5, 9, 13, 1, 10, 14, 2, 6, 15, 3, 7, 11, 0, 1, 2, 3, 5, 6, 7, 4, 10, 11, 8, 9, 15, 12, 13, 14];

function salsa(key, words) { // the state, and what 20 rounds make of it
  const before = [SIGMA[0], ...key.slice(0, 4), SIGMA[1], ...words, SIGMA[2], ...key.slice(4), SIGMA[3]];
  const x = Int32Array.from(before);
  const turn = (to, a, b, by) => {
    const sum = (x[a] + x[b]) | 0;
    x[to] ^= (sum << by) | (sum >>> (32 - by));
  };
  for (let round = 0; round < 10; round++)
    for (let q = 0; q < 32; q += 4) {
      const [a, b, c, d] = QUARTERS.slice(q, q + 4);
      turn(b, a, d, 7);
      turn(c, b, a, 9);
      turn(d, c, b, 13);
      turn(a, d, c, 18);
    }
  return { before, x };
}

function hsalsa(key, words) {
  const { x } = salsa(key, words);
  return [0, 5, 10, 15, 6, 7, 8, 9].map((k) => x[k] >>> 0);
}

function xsalsa(key, nonce, data) { // data, which begins with 32 bytes of 0 for the key of its tag, and the stream
  const words = wordsOf(nonce);
  const sub = hsalsa(key, words.slice(0, 4));
  const out = Buffer.from(data);
  for (let at = 0; at < out.length; at += 64) {
    const { before, x } = salsa(sub, [words[4], words[5], at / 64, 0]);
    for (let k = 0; k < 64 && at + k < out.length; k++) out[at + k] ^= ((before[k >> 2] + x[k >> 2]) >>> (8 * (k & 3))) & 255;
  }
  return out;
}

const bigOf = (bytes) => BigInt(`0x${Buffer.from(bytes).reverse().toString('hex') || '0'}`);

function poly1305(key, data) {
  const p = (1n << 130n) - 5n;
  const r = bigOf(key.subarray(0, 16)) & 0x0ffffffc0ffffffc0ffffffc0fffffffn;
  let sum = 0n;
  for (let at = 0; at < data.length; at += 16) {
    const block = data.subarray(at, at + 16);
    sum = ((sum + bigOf(block) + (1n << BigInt(8 * block.length))) * r) % p;
  }
  const tag = (sum + bigOf(key.subarray(16, 32))) & ((1n << 128n) - 1n);
  return Buffer.from(tag.toString(16).padStart(32, '0'), 'hex').reverse();
}

const derOf = { pkcs8: Buffer.from('302e020100300506032b656e04220420', 'hex'), spki: Buffer.from('302a300506032b656e032100', 'hex') };

function shared(theirs, ours) { // public and secret key to the key of a box between the two
  const keyOf = (make, type, raw) => make({ key: Buffer.concat([derOf[type], raw]), format: 'der', type });
  const publicKey = keyOf(crypto.createPublicKey, 'spki', theirs);
  const privateKey = keyOf(crypto.createPrivateKey, 'pkcs8', ours);
  return hsalsa(wordsOf(crypto.diffieHellman({ publicKey, privateKey })), [0, 0, 0, 0]);
}

function seal(key, nonce, data) {
  const out = xsalsa(key, nonce, Buffer.concat([Buffer.alloc(32), data]));
  return Buffer.concat([poly1305(out.subarray(0, 32), out.subarray(32)), out.subarray(32)]);
}

function open(key, nonce, box) {
  const out = xsalsa(key, nonce, Buffer.concat([Buffer.alloc(32), box.subarray(16)]));
  const tag = poly1305(xsalsa(key, nonce, Buffer.alloc(32)), box.subarray(16));
  if (!crypto.timingSafeEqual(tag, box.subarray(0, 16))) throw new Error('a box that was not sealed for us');
  return out.subarray(32);
}

function keyPair() {
  const pair = crypto.generateKeyPairSync('x25519');
  const raw = (key, type) => key.export({ format: 'der', type }).subarray(-32);
  return { public: raw(pair.publicKey, 'spki'), secret: raw(pair.privateKey, 'pkcs8') };
}

const Z85 = '0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ.-:+=^!/*?&<>()[]{}@%$#';

function z85Of(bytes) {
  const digits = (word) => [4, 3, 2, 1, 0].map((k) => Z85[Math.floor(word / 85 ** k) % 85]).join('');
  return Array.from({ length: bytes.length / 4 }, (_, k) => digits(bytes.readUInt32BE(4 * k))).join('');
}

function bytesOf(z85) {
  const words = z85.match(/.{5}/g).map((five) => [...five].reduce((word, digit) => word * 85 + Z85.indexOf(digit), 0));
  const bytes = Buffer.alloc(4 * words.length);
  words.forEach((word, k) => bytes.writeUInt32BE(word, 4 * k));
  return bytes;
}

// -- a DEALER ---------------------------------------------------------------------------------------------------------

const PROPERTIES = Buffer.concat([...['Socket-Type', 'DEALER', 'Identity', ''].entries()].map(([k, text]) => {
  const size = Buffer.alloc(k % 2 ? 4 : 1); // a name's in 1 byte, a value's in 4
  size.writeUIntBE(text.length, 0, size.length);
  return Buffer.concat([size, Buffer.from(text)]);
}));

class Null { // a run without keys
  name = 'NULL';
  begin() { return Buffer.concat([Buffer.from('\x05READY'), PROPERTIES]); }
  answer(command) { return { ready: command.subarray(1, 6).toString() === 'READY' }; }
  sent(payload) { return payload; }
  came(payload) { return payload; }
}

class Curve {
  name = 'CURVE';
  constructor(server, pair) {
    [this.server, this.pair, this.transient, this.count] = [server, pair, keyPair(), 0n];
  }
  nonce(prefix) { // what goes over the wire of it, and all of it
    const short = Buffer.alloc(8);
    short.writeBigUInt64BE(++this.count);
    return [short, Buffer.concat([Buffer.from(prefix), short])];
  }
  begin() {
    const [short, nonce] = this.nonce('CurveZMQHELLO---');
    const box = seal(shared(this.server, this.transient.secret), nonce, Buffer.alloc(64));
    return Buffer.concat([Buffer.from('\x05HELLO\x01\x00'), Buffer.alloc(72), this.transient.public, short, box]);
  }
  answer(command) {
    const name = command.subarray(1, 1 + command[0]).toString();
    const rest = command.subarray(1 + command[0]);
    if (name === 'WELCOME') return { say: this.initiate(rest) };
    if (name !== 'READY') return { ready: false };
    open(this.key, Buffer.concat([Buffer.from('CurveZMQREADY---'), rest.subarray(0, 8)]), rest.subarray(8));
    return { ready: true };
  }
  initiate(welcome) {
    const nonce = Buffer.concat([Buffer.from('WELCOME-'), welcome.subarray(0, 16)]);
    const opened = open(shared(this.server, this.transient.secret), nonce, welcome.subarray(16));
    const [theirs, cookie] = [opened.subarray(0, 32), opened.subarray(32)];
    this.key = shared(theirs, this.transient.secret);
    const random = crypto.randomBytes(16);
    const vouched = Buffer.concat([this.transient.public, this.server]);
    const vouch = seal(shared(theirs, this.pair.secret), Buffer.concat([Buffer.from('VOUCH---'), random]), vouched);
    const [short, whole] = this.nonce('CurveZMQINITIATE');
    const box = seal(this.key, whole, Buffer.concat([this.pair.public, random, vouch, PROPERTIES]));
    return Buffer.concat([Buffer.from('\x08INITIATE'), cookie, short, box]);
  }
  sent(payload) {
    const [short, nonce] = this.nonce('CurveZMQMESSAGEC');
    return Buffer.concat([Buffer.from('\x07MESSAGE'), short, seal(this.key, nonce, Buffer.concat([Buffer.alloc(1), payload]))]);
  }
  came(message) {
    return open(this.key, Buffer.concat([Buffer.from('CurveZMQMESSAGES'), message.subarray(8, 16)]), message.subarray(16)).subarray(1);
  }
}

class Dealer {
  constructor(address, mechanism, take) {
    const [, host, port] = /^tcp:\/\/\[?(.+?)\]?:(\d+)$/.exec(address) ?? [];
    if (!port) fail(2, `${address} is no address; give EDGERIG_HUB=tcp://HOST:PORT`);
    [this.host, this.port, this.mechanism, this.take, this.waiting, this.closed] = [host, +port, mechanism, take, [], false];
    this.connect();
  }

  connect() { // and again whenever the other side goes
    [this.state, this.came, this.safe, this.again] = ['greeting', Buffer.alloc(0), this.mechanism(), RECONNECT_MS];
    this.socket = net.connect({ host: this.host, port: this.port, noDelay: true });
    this.socket.on('connect', () => {
      const greeting = Buffer.alloc(64);
      greeting.writeUInt8(0xff, 0);
      greeting.writeUInt8(0x7f, 9);
      greeting.writeUInt8(3, 10);
      greeting.write(this.safe.name, 12);
      this.socket.write(greeting);
    });
    this.socket.on('data', (data) => this.read(data));
    this.socket.on('error', () => {}); // 'close' follows
    this.socket.on('close', () => {
      if (!this.closed) setTimeout(() => this.closed || this.connect(), this.again);
    });
  }

  read(data) {
    this.came = Buffer.concat([this.came, data]);
    try {
      while (!this.closed && this.readOne()) {}
    } catch (error) {
      console.error(`agent-node: ${this.host}:${this.port}: ${error.message}`);
      this.again = REPAIR_MS;
      this.socket.destroy();
    }
  }

  readOne() {
    if (this.state === 'greeting') {
      if (this.came.length < 64) return false;
      const mechanism = this.came.subarray(12, 32).toString().replaceAll('\0', '');
      if (mechanism !== this.safe.name) throw new Error(`speaks ${mechanism}, not ${this.safe.name}; is EDGERIG_KEYS right?`);
      [this.came, this.state] = [this.came.subarray(64), 'handshake'];
      this.write(this.safe.begin(), 4);
      return true;
    }
    const long = this.came[0] & 2;
    if (this.came.length < (long ? 9 : 2)) return false;
    const size = long ? Number(this.came.readBigUInt64BE(1)) : this.came[1];
    if (size > MOST_BYTES) throw new Error(`a frame of ${size} bytes`);
    const begin = long ? 9 : 2;
    if (this.came.length < begin + size) return false;
    const [flags, body] = [this.came[0], this.came.subarray(begin, begin + size)];
    this.came = this.came.subarray(begin + size);
    if (this.state === 'handshake') this.shake(body);
    else if (!(flags & 4)) this.take(this.safe.came(body));
    return true;
  }

  shake(command) {
    const { say, ready } = this.safe.answer(command);
    if (say) return this.write(say, 4);
    if (!ready) throw new Error(`the handshake ended with ${command.subarray(1, 1 + command[0])}`);
    this.state = 'open';
    this.waiting.splice(0).forEach((payload) => this.send(payload));
  }

  send(payload) {
    if (this.state === 'open') this.write(this.safe.sent(payload), 0);
    else this.waiting.push(payload);
  }

  write(body, flags) {
    const head = Buffer.alloc(body.length > 255 ? 9 : 2);
    head[0] = flags | (body.length > 255 ? 2 : 0);
    if (body.length > 255) head.writeBigUInt64BE(BigInt(body.length), 1);
    else head[1] = body.length;
    this.socket.write(Buffer.concat([head, body]));
  }

  close() {
    this.closed = true;
    this.socket.end();
    setTimeout(() => this.socket.destroy(), LINGER_MS).unref();
  }
}

// -- the rule ---------------------------------------------------------------------------------------------------------

const SCALE = 10n ** 12n;
const MOST_TASKS = 9e6;

function decide(setup, slots, counts) {
  const sizes = setup.sizes;
  const scores = sizes.map((size, j) => {
    let tasks = 0;
    for (let slot = 0; slot < slots; slot++) {
      const count = counts.readDoubleLE(8 * (slot * sizes.length + j));
      if (count >= 1) tasks = Math.min(MOST_TASKS, tasks + Math.floor(Math.min(count, MOST_TASKS))); // not so for NaN
    }
    return slots ? (BigInt(tasks) * SCALE) / BigInt(Math.trunc(size)) : 1n;
  });
  const wanted = [...sizes.keys()].filter((j) => scores[j] > 0n);
  wanted.sort((one, other) => (scores[one] === scores[other] ? one - other : scores[one] > scores[other] ? -1 : 1));
  let room = setup.room;
  const chosen = wanted.filter((j) => {
    const fits = sizes[j] <= room;
    if (fits) room -= sizes[j];
    return fits;
  });
  return chosen.sort((one, other) => one - other);
}

// -- the agent --------------------------------------------------------------------------------------------------------

const [HELLO, ACCEPTED, REFUSED, BEAT, BEAT_ACK, GOODBYE] = [1, 2, 3, 4, 5, 6];
const [JOIN, SETUP, OBSERVATION, DEPLOYMENT] = [16, 17, 19, 21];
const [MAGIC, VERSION, HEADER_BYTES, ANY_EDGE] = [0xc1, 1, 24, 0xffffffff];
const given = (name, otherwise) => process.env[name] || otherwise;
const now = () => performance.now() / 1000;

let hub, server, setup; // two sockets, and what it decides in
let self = { edge: ANY_EDGE, instance: 0 };
let [beatS, livelinessS, nextHelloS, nextBeatS] = [1, 5, 0, 0];
let [heardS, greetsS, turnedS] = [now(), now(), now()];
const said = new Map(); // how many messages, by socket

const keys = given('EDGERIG_KEYS', '') ? { hub: keyIn('hub.pub', 'public'), role: { public: keyIn('agent.key', 'public'), secret: keyIn('agent.key', 'secret') } } : null;
let own = keys && keyPair(); // another for each lease

function fail(code, text) {
  if (text) console.error(`agent-node: ${text}`);
  process.exit(code);
}

function keyIn(file, name) { // a line: public = "40 characters"
  const path = `${process.env.EDGERIG_KEYS}/${file}`;
  let found;
  try {
    found = new RegExp(`^${name} = "(.{40})"`, 'm').exec(fs.readFileSync(path, 'utf8'));
  } catch {}
  return found ? bytesOf(found[1]) : fail(2, `no ${name} key can be read in ${path} (EDGERIG_KEYS)`);
}

function dealer(address, theirs, pair) {
  const made = new Dealer(address, () => (keys ? new Curve(theirs, pair) : new Null()), (frame) => take(made, frame));
  said.set(made, 0);
  return made;
}

function reachHub(pair) {
  hub?.close();
  hub = dealer(given('EDGERIG_HUB', 'tcp://127.0.0.1:7400'), keys?.hub, pair);
}

function leaveServer() {
  server?.close();
  server = undefined;
  self.instance = 0;
}

function say(socket, kind, fields = {}, epoch = 0, frame = 0) {
  const header = Buffer.alloc(HEADER_BYTES);
  said.set(socket, said.get(socket) + 1);
  header.writeUInt8(MAGIC, 0);
  header.writeUInt8(VERSION, 1);
  header.writeUInt16LE(kind, 2);
  [self.edge, self.instance, epoch, frame, said.get(socket)].forEach((value, k) => header.writeUInt32LE(value, 4 + 4 * k));
  socket.send(Buffer.concat([header, pack(fields)]));
}

function hello() {
  self.edge = given('EDGERIG_INDEX', '') ? Number(process.env.EDGERIG_INDEX) : ANY_EDGE;
  say(hub, HELLO, {
    role: 'deployment', world: 'offloading', name: 'agent-node', version: '1.0',
    process: given('EDGERIG_PROCESS', ''), pid: process.pid, public_key: own ? z85Of(own.public) : '',
    standby: given('EDGERIG_STANDBY', '0') !== '0',
  });
  nextHelloS = now() + 5; // if nobody answers
}

function beat() {
  say(hub, BEAT);
  nextBeatS = now() + beatS;
}

function greet(inS) {
  if (self.instance) {
    greetsS = now();
    if (keys) { // its next lease is for another key
      say(hub, GOODBYE);
      own = keyPair();
      reachHub(keys.role);
    }
  }
  leaveServer();
  nextHelloS = now() + inS;
}

function take(socket, frame) {
  if (frame.length < HEADER_BYTES || frame[0] !== MAGIC || frame[1] !== VERSION) return;
  const kind = frame.readUInt16LE(2);
  const [edge, instance, epoch, number] = [4, 8, 12, 16].map((at) => frame.readUInt32LE(at));
  if (socket === hub) heardS = now();
  try {
    const fields = unpack(frame.subarray(HEADER_BYTES));
    if (kind === ACCEPTED) accepted(fields, edge, instance);
    else if (kind === REFUSED) refused(fields, socket === hub);
    else if (kind === BEAT_ACK) fields.get('known') === false && greet(0.1);
    else if (kind === GOODBYE) instance === self.instance && goodbye(fields);
    else if (kind === SETUP) setup = { room: fields.get('storage_bytes'), sizes: fields.get('service_bytes').filter((size) => size >= 1) };
    else if (kind === OBSERVATION) observed(fields, epoch, number); // State, Reward, Reset: this rule learns nothing
  } catch (error) {
    console.error(`agent-node: message of kind ${kind}: ${error.message}`);
  }
}

function accepted(fields, edge, instance) {
  leaveServer();
  self = { edge, instance };
  [beatS, livelinessS] = [fields.get('beat_s'), fields.get('liveliness_s')];
  if (keys) reachHub(own);
  server = dealer(fields.get('edge_address'), keys && bytesOf(fields.get('edge_key')), own);
  say(server, JOIN);
  beat();
}

function refused(fields, byHub) {
  const [reason, text, retryS] = [fields.get('reason'), fields.get('text'), fields.get('retry_s') ?? 0];
  if (byHub && !self.instance) {
    const waitS = Number(given('EDGERIG_WAIT_S', 'inf').replace('inf', 'Infinity'));
    if (!(retryS > 0 && now() + retryS - greetsS <= waitS)) fail(2, `refused (${reason}): ${text}`);
    greet(retryS);
    return;
  }
  console.error(`agent-node: ${reason}: ${text}`);
  if (reason === 'unknown_instance' || reason === 'stale_epoch') greet(0.1);
}

function goodbye(fields) {
  console.error(`agent-node: goodbye: ${fields.get('reason') ?? ''}`);
  if (fields.get('again')) greet(0.1);
  else fail(fields.get('reason') === 'warm_up' ? 1 : 0);
}

function observed(fields, epoch, frame) {
  const [slots, columns, counts] = ['slots', 'services', 'counts'].map((name) => fields.get(name));
  if (columns !== setup.sizes.length || counts.length !== 8 * slots * columns) throw new Error(`${counts.length} bytes are no ${slots} x ${columns} counts`);
  say(server, DEPLOYMENT, { services: decide(setup, slots, counts) }, epoch, frame);
}

function turn() {
  if (now() - turnedS > 1.5) heardS = now(); // stopped for a while: cannot tell whether the hub was silent
  turnedS = now();
  if (!self.instance && turnedS >= nextHelloS) hello();
  if (self.instance && turnedS >= nextBeatS) beat();
  if (turnedS - heardS > 2 * livelinessS + (self.instance ? 0 : 60)) fail(3, `the hub is silent${keys ? '' : '; a run with keys needs EDGERIG_KEYS'}`);
}

function stop() { // Goodbye gets out, if anybody listens
  say(hub, GOODBYE);
  hub.close();
  setTimeout(() => process.exit(0), LINGER_MS);
}

process.on('SIGTERM', stop);
process.on('SIGINT', stop);
reachHub(keys?.role);
setInterval(turn, 20);
