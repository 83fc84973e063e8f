/* An agent for edgerig in one file: it decides what an edge server deploys. docs/agent-protocol.md is all it knows.
 *
 * The rule: services by the tasks of the last frame that a byte of storage would serve, most first, as long as they fit;
 * in whole numbers, so that any language decides the same; ties go to the lowest service. The policy
 * marginal-popularity of edgerig has the same rule.
 *
 * Read from the bottom: main, then greet and take, then decide; msgpack and frames are above them.
 */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__has_include) && !__has_include(<zmq.h>)
/* The library is here without its header (many packages ship it so): what of libzmq 4's interface is used below. */
void *zmq_ctx_new(void);
int zmq_ctx_term(void *context);
void *zmq_socket(void *context, int type);
int zmq_setsockopt(void *socket, int option, const void *value, size_t size);
int zmq_connect(void *socket, const char *address);
int zmq_send(void *socket, const void *data, size_t size, int flags);
int zmq_recv(void *socket, void *data, size_t size, int flags);
int zmq_close(void *socket);
typedef struct { void *socket; int fd; short events; short revents; } zmq_pollitem_t;
int zmq_poll(zmq_pollitem_t *items, int count, long timeout_ms);
int zmq_curve_keypair(char *public_key, char *secret_key);
enum { ZMQ_DEALER = 5, ZMQ_LINGER = 17, ZMQ_DONTWAIT = 1, ZMQ_POLLIN = 1 };
enum { ZMQ_CURVE_PUBLICKEY = 48, ZMQ_CURVE_SECRETKEY = 49, ZMQ_CURVE_SERVERKEY = 50 };
#else
#include <zmq.h>
#endif

enum { HELLO = 1, ACCEPTED, REFUSED, BEAT, BEAT_ACK, GOODBYE };
enum { JOIN = 16, SETUP, STATE, OBSERVATION, RENTAL_OBSERVATION, DEPLOYMENT, RENTAL, REWARD, OUTCOME, RESET };
enum { MAGIC = 0xC1, VERSION = 1, HEADER_BYTES = 24, MOST_BYTES = 1 << 20, MOST_SERVICES = 65536, LINGER_MS = 200 };
static const uint32_t ANY_EDGE = 0xFFFFFFFF;
static const uint64_t SCALE = 1000000000000, MOST_TASKS = 9000000; /* their product fits 64 bits */

/* -- msgpack, as far as the protocol uses it ---------------------------------------------------------------------- */

typedef struct { const uint8_t *at, *end; bool bad; } reader;

static uint64_t big_endian(reader *r, size_t bytes) {
    uint64_t value = 0;
    if ((size_t)(r->end - r->at) < bytes) { r->bad = true; r->at = r->end; return 0; }
    while (bytes--) value = value << 8 | *r->at++;
    return value;
}

static uint8_t next(reader *r) { return (uint8_t)big_endian(r, 1); }

static size_t length(reader *r, uint8_t fix, uint8_t mask, uint8_t first) {
    /* How many follow: in the type's own byte, or in 1, 2 or 4 more (first: the type with the shortest of these). */
    uint8_t type = next(r);
    if (fix && (type & ~mask) == fix) return type & mask;
    if (type == first) return big_endian(r, fix == 0x90 || fix == 0x80 ? 2 : 1);
    if (type == first + 1) return big_endian(r, fix == 0x90 || fix == 0x80 ? 4 : 2);
    if (type == first + 2 && fix != 0x90 && fix != 0x80) return big_endian(r, 4);
    r->bad = true;
    return 0;
}

static size_t read_map(reader *r) { return length(r, 0x80, 0x0f, 0xde); }
static size_t read_array(reader *r) { return length(r, 0x90, 0x0f, 0xdc); }

static size_t read_bytes(reader *r, const uint8_t **bytes, bool text) {
    size_t size = text ? length(r, 0xa0, 0x1f, 0xd9) : length(r, 0, 0, 0xc4);
    if ((size_t)(r->end - r->at) < size) { r->bad = true; size = 0; }
    *bytes = r->at;
    r->at += size;
    return size;
}

static void read_text(reader *r, char *into, size_t room) {
    const uint8_t *bytes;
    size_t size = read_bytes(r, &bytes, true);
    if (size >= room) size = room - 1;
    memcpy(into, bytes, size);
    into[size] = '\0';
}

static double read_number(reader *r) { /* an int of any width, or a float */
    uint8_t type = next(r);
    if (type < 0x80) return type;
    if (type >= 0xe0) return (int8_t)type;
    if (type >= 0xcc && type <= 0xcf) return (double)big_endian(r, (size_t)1 << (type - 0xcc));
    if (type == 0xd0) return (int8_t)big_endian(r, 1);
    if (type == 0xd1) return (int16_t)big_endian(r, 2);
    if (type == 0xd2) return (int32_t)big_endian(r, 4);
    if (type == 0xd3) return (double)(int64_t)big_endian(r, 8);
    if (type == 0xcb) { uint64_t bits = big_endian(r, 8); double value; memcpy(&value, &bits, 8); return value; }
    r->bad = true;
    return 0;
}

static size_t read_count(reader *r) {
    double value = read_number(r);
    if (!(value >= 0 && value <= 4294967295.0)) r->bad = true;
    return r->bad ? 0 : (size_t)value;
}

static bool read_bool(reader *r) {
    uint8_t type = next(r);
    if (type != 0xc2 && type != 0xc3) r->bad = true;
    return type == 0xc3;
}

static void skip(reader *r) { /* whatever it is: who does not know a key passes over its value */
    uint8_t type = r->at < r->end ? *r->at : 0xc1;
    const uint8_t *bytes;
    if (type < 0x80 || type >= 0xe0 || (type >= 0xcc && type <= 0xd3) || type == 0xcb) read_number(r);
    else if (type == 0xca) { next(r); big_endian(r, 4); }
    else if (type == 0xc0 || type == 0xc2 || type == 0xc3) next(r);
    else if ((type & 0xe0) == 0xa0 || (type >= 0xd9 && type <= 0xdb)) read_bytes(r, &bytes, true);
    else if (type >= 0xc4 && type <= 0xc6) read_bytes(r, &bytes, false);
    else if ((type & 0xf0) == 0x90 || type == 0xdc || type == 0xdd) for (size_t n = read_array(r); n-- && !r->bad;) skip(r);
    else if ((type & 0xf0) == 0x80 || type == 0xde || type == 0xdf) for (size_t n = 2 * read_map(r); n-- && !r->bad;) skip(r);
    else r->bad = true;
}

typedef struct { uint8_t data[MOST_BYTES]; size_t size; } writer;

static void put(writer *w, uint64_t value, size_t bytes) {
    while (bytes--) w->data[w->size++] = (uint8_t)(value >> 8 * bytes);
}

static void put_text(writer *w, const char *text) {
    size_t size = strlen(text);
    if (size > 0xffff) size = 0xffff;
    put(w, 0xda, 1);
    put(w, size, 2);
    memcpy(w->data + w->size, text, size);
    w->size += size;
}

static void put_int(writer *w, uint64_t value) { put(w, 0xcf, 1); put(w, value, 8); }
static void put_map(writer *w, size_t count) { put(w, 0xde, 1); put(w, count, 2); }
static void put_array(writer *w, size_t count) { put(w, 0xdd, 1); put(w, count, 4); }

/* -- frames ------------------------------------------------------------------------------------------------------- */

typedef struct { uint16_t kind; uint32_t edge, instance, epoch, frame, sequence; } header;

static uint32_t little_endian(const uint8_t *at, int bytes) {
    uint32_t value = 0;
    while (bytes--) value = value << 8 | at[bytes];
    return value;
}

static void put_little_endian(uint8_t *at, uint32_t value, int bytes) {
    for (int k = 0; k < bytes; k++) at[k] = (uint8_t)(value >> 8 * k);
}

static writer out; /* the payload that is being written, after room for the header */

static void begin(void) { out.size = HEADER_BYTES; }

static void say(void *socket, uint32_t *sequence, header h) {
    uint8_t *at = out.data;
    at[0] = MAGIC;
    at[1] = VERSION;
    put_little_endian(at + 2, h.kind, 2);
    put_little_endian(at + 4, h.edge, 4);
    put_little_endian(at + 8, h.instance, 4);
    put_little_endian(at + 12, h.epoch, 4);
    put_little_endian(at + 16, h.frame, 4);
    put_little_endian(at + 20, ++*sequence, 4);
    zmq_send(socket, out.data, out.size, ZMQ_DONTWAIT);
}

/* -- the decision ------------------------------------------------------------------------------------------------- */

static double storage_bytes, service_bytes[MOST_SERVICES];
static size_t services;
static uint64_t score[MOST_SERVICES];

static int by_score(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    if (score[one] != score[other]) return score[one] > score[other] ? -1 : 1;
    return one < other ? -1 : 1;
}

static int by_index(const void *a, const void *b) {
    uint32_t one = *(const uint32_t *)a, other = *(const uint32_t *)b;
    return one < other ? -1 : one > other;
}

static size_t decide(const uint8_t *counts, size_t slots, uint32_t *chosen) {
    size_t asked_for = 0, taken = 0;
    for (size_t j = 0; j < services; j++) {
        uint64_t tasks = 0;
        for (size_t slot = 0; slot < slots; slot++) {
            const uint8_t *at = counts + 8 * (slot * services + j);
            uint64_t bits = (uint64_t)little_endian(at + 4, 4) << 32 | little_endian(at, 4);
            double count;
            memcpy(&count, &bits, 8);
            if (count >= 1) tasks += count < (double)MOST_TASKS ? (uint64_t)count : MOST_TASKS; /* not so for NaN */
            if (tasks > MOST_TASKS) tasks = MOST_TASKS;
        }
        score[j] = slots ? tasks * SCALE / (uint64_t)service_bytes[j] : 1;
        if (score[j]) chosen[asked_for++] = (uint32_t)j;
    }
    qsort(chosen, asked_for, sizeof *chosen, by_score);
    double room = storage_bytes;
    for (size_t k = 0; k < asked_for; k++)
        if (service_bytes[chosen[k]] <= room) {
            room -= service_bytes[chosen[k]];
            chosen[taken++] = chosen[k];
        }
    qsort(chosen, taken, sizeof *chosen, by_index);
    return taken;
}

/* -- the conversation --------------------------------------------------------------------------------------------- */

static volatile sig_atomic_t stopped;
static void *context, *hub, *edge_server;
static uint32_t said_to_hub, said_to_edge;
static header self; /* edge and instance; what is 0 stays so */
static double beat_s = 1, liveliness_s = 5, next_hello_s, next_beat_s, heard_s, greets_s;
static int exit_code = -1; /* not yet */

static void stop(int number) { (void)number; stopped = 1; }

static double now_s(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static const char *from(const char *variable, const char *otherwise) {
    const char *value = getenv(variable);
    return value && *value ? value : otherwise;
}

/* With keys (EDGERIG_KEYS names their folder) Hello goes to the hub under the role's key, everything else under a pair
 * that is made for each lease. Keys are 40 characters. */
typedef struct { char public[41], secret[41]; } key_pair;
static key_pair role_key, own_key;
static char hub_key[41];

static bool read_key(const char *file, const char *name, char *into) { /* a line: public = "40 characters" */
    char path[4096], line[256], format[32];
    snprintf(path, sizeof path, "%s/%s", getenv("EDGERIG_KEYS"), file);
    snprintf(format, sizeof format, "%s = \"%%40[^\"]\"", name);
    FILE *lines = fopen(path, "r");
    bool found = false;
    while (lines && !found && fgets(line, sizeof line, lines)) found = sscanf(line, format, into) == 1;
    if (lines) fclose(lines);
    if (!found) fprintf(stderr, "agent-c: no %s key can be read in %s (EDGERIG_KEYS)\n", name, path);
    return found;
}

static bool read_keys(void) {
    if (!*from("EDGERIG_KEYS", "")) return true;
    return read_key("hub.pub", "public", hub_key) && read_key("agent.key", "public", role_key.public) &&
           read_key("agent.key", "secret", role_key.secret);
}

static void *dealer(const char *address, const char *server_key, const key_pair *shown) {
    void *socket = zmq_socket(context, ZMQ_DEALER);
    int linger_ms = LINGER_MS;
    zmq_setsockopt(socket, ZMQ_LINGER, &linger_ms, sizeof linger_ms);
    if (*hub_key) {
        zmq_setsockopt(socket, ZMQ_CURVE_SERVERKEY, server_key, strlen(server_key) + 1);
        zmq_setsockopt(socket, ZMQ_CURVE_PUBLICKEY, shown->public, sizeof shown->public);
        zmq_setsockopt(socket, ZMQ_CURVE_SECRETKEY, shown->secret, sizeof shown->secret);
    }
    if (zmq_connect(socket, address) != 0) {
        fprintf(stderr, "agent-c: %s is no address; give EDGERIG_HUB=tcp://HOST:PORT\n", address);
        exit(2);
    }
    return socket;
}

static void leave_edge_server(void) {
    if (edge_server) zmq_close(edge_server);
    edge_server = NULL;
    self.instance = 0;
}

static void reach_hub(const key_pair *shown) {
    if (hub) zmq_close(hub);
    hub = dealer(from("EDGERIG_HUB", "tcp://127.0.0.1:7400"), hub_key, shown);
    said_to_hub = 0;
}

static void say_goodbye(void) {
    begin();
    put_map(&out, 0);
    say(hub, &said_to_hub, (header){.kind = GOODBYE, .edge = self.edge, .instance = self.instance});
}

static void greet(double in_s) {
    if (self.instance) greets_s = now_s();
    if (self.instance && *hub_key) { /* its next lease is for another key */
        say_goodbye();
        zmq_curve_keypair(own_key.public, own_key.secret);
        reach_hub(&role_key);
    }
    leave_edge_server();
    next_hello_s = now_s() + in_s;
}

static void hello(void) {
    const char *index = from("EDGERIG_INDEX", "");
    bool stands_by = strcmp(from("EDGERIG_STANDBY", "0"), "0") != 0; /* until somebody swaps it in */
    self.edge = *index ? (uint32_t)strtoul(index, NULL, 10) : ANY_EDGE;
    begin();
    put_map(&out, 8);
    put_text(&out, "role"), put_text(&out, "deployment");
    put_text(&out, "world"), put_text(&out, "offloading");
    put_text(&out, "name"), put_text(&out, "agent-c");
    put_text(&out, "version"), put_text(&out, "1.0");
    put_text(&out, "process"), put_text(&out, from("EDGERIG_PROCESS", ""));
    put_text(&out, "pid"), put_int(&out, (uint64_t)getpid());
    put_text(&out, "public_key"), put_text(&out, own_key.public); /* empty without keys */
    put_text(&out, "standby"), put(&out, stands_by ? 0xc3 : 0xc2, 1);
    say(hub, &said_to_hub, (header){.kind = HELLO, .edge = self.edge});
    next_hello_s = now_s() + 5; /* if nobody answers */
}

static void beat(void) {
    begin();
    put_map(&out, 0);
    say(hub, &said_to_hub, (header){.kind = BEAT, .edge = self.edge, .instance = self.instance});
    next_beat_s = now_s() + beat_s;
}

static void take_accepted(header h, reader *r) {
    char key[64], address[256] = "", edge_key[41] = "";
    for (size_t n = read_map(r); n--;) {
        read_text(r, key, sizeof key);
        if (!strcmp(key, "edge_address")) read_text(r, address, sizeof address);
        else if (!strcmp(key, "edge_key")) read_text(r, edge_key, sizeof edge_key);
        else if (!strcmp(key, "beat_s")) beat_s = read_number(r);
        else if (!strcmp(key, "liveliness_s")) liveliness_s = read_number(r);
        else skip(r);
    }
    if (r->bad || !*address) return;
    leave_edge_server();
    self = h;
    if (*hub_key) reach_hub(&own_key);
    edge_server = dealer(address, edge_key, &own_key);
    said_to_edge = 0;
    begin();
    put_map(&out, 0);
    say(edge_server, &said_to_edge, (header){.kind = JOIN, .edge = self.edge, .instance = self.instance});
    beat();
}

static void take_refused(reader *r, bool from_hub) {
    char key[64], reason[64] = "", text[256] = "";
    double retry_s = 0;
    for (size_t n = read_map(r); n--;) {
        read_text(r, key, sizeof key);
        if (!strcmp(key, "reason")) read_text(r, reason, sizeof reason);
        else if (!strcmp(key, "text")) read_text(r, text, sizeof text);
        else if (!strcmp(key, "retry_s")) retry_s = read_number(r);
        else skip(r);
    }
    if (from_hub && !self.instance) {
        if (retry_s > 0 && now_s() + retry_s - greets_s <= atof(from("EDGERIG_WAIT_S", "inf"))) { greet(retry_s); return; }
        fprintf(stderr, "agent-c: refused (%s): %s\n", reason, text);
        exit_code = 2;
        return;
    }
    fprintf(stderr, "agent-c: %s: %s\n", reason, text);
    if (!strcmp(reason, "unknown_instance") || !strcmp(reason, "stale_epoch")) greet(0.1);
}

static void take_goodbye(reader *r) {
    char key[64], reason[256] = "";
    bool again = false;
    for (size_t n = read_map(r); n--;) {
        read_text(r, key, sizeof key);
        if (!strcmp(key, "again")) again = read_bool(r);
        else if (!strcmp(key, "reason")) read_text(r, reason, sizeof reason);
        else skip(r);
    }
    fprintf(stderr, "agent-c: goodbye: %s\n", reason);
    if (again) greet(0.1);
    else exit_code = strcmp(reason, "warm_up") ? 0 : 1;
}

static void take_setup(reader *r) {
    char key[64];
    services = 0;
    for (size_t n = read_map(r); n--;) {
        read_text(r, key, sizeof key);
        if (!strcmp(key, "storage_bytes")) storage_bytes = read_number(r);
        else if (!strcmp(key, "service_bytes")) {
            size_t count = read_array(r);
            for (size_t j = 0; j < count; j++) {
                double size = read_number(r);
                if (r->bad || !(size >= 1 && size < 9e18)) break; /* no such service */
                if (j < MOST_SERVICES) service_bytes[services++] = size;
            }
        } else skip(r);
    }
}

static void take_observation(header h, reader *r) {
    static uint32_t chosen[MOST_SERVICES];
    char key[64];
    const uint8_t *counts = NULL;
    size_t slots = 0, columns = 0, bytes = 0;
    for (size_t n = read_map(r); n--;) {
        read_text(r, key, sizeof key);
        if (!strcmp(key, "slots")) slots = read_count(r);
        else if (!strcmp(key, "services")) columns = read_count(r);
        else if (!strcmp(key, "counts")) bytes = read_bytes(r, &counts, false);
        else skip(r);
    }
    if (r->bad || columns != services || slots > MOST_BYTES || bytes != 8 * slots * services) {
        fprintf(stderr, "agent-c: an observation of %zu bytes does not fit %zu x %zu\n", bytes, slots, columns);
        return;
    }
    size_t taken = decide(counts, slots, chosen);
    begin();
    put_map(&out, 1);
    put_text(&out, "services"), put_array(&out, taken);
    for (size_t k = 0; k < taken; k++) put_int(&out, chosen[k]);
    h.kind = DEPLOYMENT; /* edge, instance, epoch and frame are the observation's */
    say(edge_server, &said_to_edge, h);
}

static void take_ack(reader *r) {
    char key[64];
    bool known = true;
    for (size_t n = read_map(r); n--;) {
        read_text(r, key, sizeof key);
        if (!strcmp(key, "known")) known = read_bool(r);
        else skip(r);
    }
    if (!known) greet(0.1);
}

static bool take(void *socket) { /* one message; whether there was one */
    static uint8_t frame[4 * MOST_BYTES];
    int size = zmq_recv(socket, frame, sizeof frame, ZMQ_DONTWAIT);
    if (size < 0) return false;
    if (size < HEADER_BYTES || size > (int)sizeof frame || frame[0] != MAGIC || frame[1] != VERSION) return true;
    header h = {(uint16_t)little_endian(frame + 2, 2), little_endian(frame + 4, 4), little_endian(frame + 8, 4),
                little_endian(frame + 12, 4), little_endian(frame + 16, 4), little_endian(frame + 20, 4)};
    reader r = {frame + HEADER_BYTES, frame + size, false};
    if (socket == hub) heard_s = now_s();
    switch (h.kind) {
        case ACCEPTED: take_accepted(h, &r); break;
        case REFUSED: take_refused(&r, socket == hub); break;
        case BEAT_ACK: take_ack(&r); break;
        case GOODBYE: if (h.instance == self.instance) take_goodbye(&r); break;
        case SETUP: take_setup(&r); break;
        case OBSERVATION: take_observation(h, &r); break;
        default: break; /* State, Reward, Reset: this rule learns nothing; unknown kinds are passed over */
    }
    return true;
}

int main(void) {
    signal(SIGTERM, stop);
    signal(SIGINT, stop);
    if (!read_keys()) return 2;
    context = zmq_ctx_new();
    if (*hub_key) zmq_curve_keypair(own_key.public, own_key.secret);
    reach_hub(&role_key);
    double turned_s = heard_s = greets_s = now_s();
    while (exit_code < 0) {
        if (now_s() - turned_s > 1.5) heard_s = now_s(); /* stopped for a while: cannot tell whether the hub was silent */
        turned_s = now_s();
        if (!self.instance && turned_s >= next_hello_s) hello();
        if (self.instance && now_s() >= next_beat_s) beat();
        double until_s = self.instance ? next_beat_s : next_hello_s, wait_s = until_s - now_s();
        if (wait_s > 0.5) wait_s = 0.5;
        zmq_pollitem_t items[] = {{hub, 0, ZMQ_POLLIN, 0}, {edge_server, 0, ZMQ_POLLIN, 0}};
        zmq_poll(items, edge_server ? 2 : 1, wait_s > 0 ? (long)(1000 * wait_s) + 1 : 0);
        while (exit_code < 0 && take(hub)) {}
        while (exit_code < 0 && edge_server && take(edge_server)) {}
        if (exit_code < 0 && turned_s - heard_s > 2 * liveliness_s + 60 * !self.instance) {
            fprintf(stderr, "agent-c: the hub is silent%s\n", *hub_key ? "" : "; a run with keys needs EDGERIG_KEYS");
            exit_code = 3;
        }
        if (stopped) {
            say_goodbye();
            exit_code = 0;
        }
    }
    leave_edge_server();
    zmq_close(hub);
    zmq_ctx_term(context);
    return exit_code;
}
