// hiredis as programs in C use it: commands one at a time, and appended with the replies read later.
// Usage: hiredis PORT

#include <hiredis/hiredis.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { CLIENTS = 20, PIPELINED = 500, DEADLINE_MS = 20000, BIG = 3 << 20 };

static int port;

static void fail(const char *what) {
    fprintf(stderr, "%s\n", what);
    exit(1);
}

static redisContext *client(void) {
    struct timeval patience = {20, 0};
    redisContext *redis = redisConnectWithTimeout("127.0.0.1", port, patience);
    if (redis == NULL || redis->err) fail(redis ? redis->errstr : "no memory");
    redisSetTimeout(redis, patience);
    return redis;
}

static void print_text(const char *text, size_t length) {
    putchar('"');
    for (size_t i = 0; i < length; i++) {
        unsigned char byte = (unsigned char)text[i];
        if (byte < 32 || byte > 126 || byte == '"' || byte == '\\') printf("\\u%04x", byte);
        else putchar(byte);
    }
    putchar('"');
}

// A reply as JSON. An error and a status say what they are.
static void print_reply(const redisReply *reply) {
    switch (reply->type) {
    case REDIS_REPLY_INTEGER:
        printf("%lld", reply->integer);
        return;
    case REDIS_REPLY_NIL:
        printf("null");
        return;
    case REDIS_REPLY_ARRAY:
        putchar('[');
        for (size_t i = 0; i < reply->elements; i++) {
            if (i) putchar(',');
            print_reply(reply->element[i]);
        }
        putchar(']');
        return;
    case REDIS_REPLY_STRING:
        print_text(reply->str, reply->len);
        return;
    default:
        printf("{\"%s\":", reply->type == REDIS_REPLY_ERROR ? "error" : "status");
        print_text(reply->str, reply->len);
        putchar('}');
    }
}

static const char *before_job = "";
static const char *before_reply = "";

static void begin(const char *job) {
    printf("%s\"%s\":[", before_job, job);
    before_job = "],";
    before_reply = "";
}

static void take(redisReply *reply, const redisContext *redis) {
    if (reply == NULL) fail(redis->errstr);
    printf("%s", before_reply);
    before_reply = ",";
    print_reply(reply);
    freeReplyObject(reply);
}

#define DO(redis, ...) take(redisCommand(redis, __VA_ARGS__), redis)
#define DISCARD(redis, ...) freeReplyObject(redisCommand(redis, __VA_ARGS__))

static void read_one(redisContext *redis) {
    void *reply = NULL;
    if (redisGetReply(redis, &reply) != REDIS_OK) fail(redis->errstr);
    take(reply, redis);
}

static void data(redisContext *redis) {
    begin("strings");
    DO(redis, "SET text %s", "a\r\nvalue");
    DO(redis, "GET text");
    DO(redis, "GET missing");
    DO(redis, "SET bytes %b", "\0\xff\r\n", (size_t)4);
    DO(redis, "GET bytes");
    DO(redis, "MSET a 1 b 2");
    DO(redis, "MGET a missing b");
    DO(redis, "ZADD zset 1.5 m 2 n");
    DO(redis, "ZRANGE zset 0 -1 WITHSCORES");
    begin("errors");
    DO(redis, "LPUSH text x");
    DO(redis, "NOTHING x");
    DO(redis, "GET");
    begin("big values");
    char *big = malloc(BIG);
    memset(big, 'x', BIG);
    DO(redis, "SET big %b", big, (size_t)BIG);
    redisReply *reply = redisCommand(redis, "GET big");
    if (reply == NULL || reply->len != BIG || memcmp(reply->str, big, BIG)) fail("another value");
    freeReplyObject(reply);
    free(big);
    DO(redis, "STRLEN big");
}

static void pipelines(redisContext *redis) {
    begin("pipeline");
    for (int number = 0; number < PIPELINED; number++) {
        redisAppendCommand(redis, "SET key:%d %d", number, number);
        redisAppendCommand(redis, "GET key:%d", number);
        redisAppendCommand(redis, "INCR piped");
    }
    for (int number = 0; number < 3 * PIPELINED; number++) read_one(redis);
}

static void transactions(redisContext *redis, redisContext *other) {
    begin("transaction");
    DO(redis, "MULTI");
    DO(redis, "SET t x");
    DO(redis, "INCR n");
    DO(redis, "LPUSH t z");
    DO(redis, "EXEC");
    DO(redis, "MULTI");
    DO(redis, "SET t y");
    DO(redis, "DISCARD");
    DO(redis, "GET t");
    begin("watch");
    DO(redis, "WATCH n");
    DO(other, "INCR n");
    DO(redis, "MULTI");
    DO(redis, "SET w lost");
    DO(redis, "EXEC");
    DO(redis, "WATCH n");
    DO(redis, "MULTI");
    DO(redis, "SET w won");
    DO(redis, "EXEC");
    DO(redis, "GET w");
    begin("scripts");
    DO(redis, "EVALSHA %s 0", "4ca238f611c9d0ae4e9a75a5dbac22aedc1e4ccc");
    DO(redis, "SCRIPT LOAD %s", "return {KEYS[1], ARGV[1]}");
    DO(redis, "EVAL %s 1 k v", "return {KEYS[1], ARGV[1], redis.status_reply('FINE')}");
    begin("databases");
    DO(other, "SELECT 3");
    DO(other, "SET a three");
    DO(other, "GET a");
    DO(redis, "GET a");
    DO(other, "SELECT 0");
}

// Waits until the server says so of one client.
static void until_one(redisContext *redis, const char *command, const char *sign) {
    for (int waited = 0; waited < DEADLINE_MS; waited += 2) {
        redisReply *reply = redisCommand(redis, command);
        if (reply == NULL) fail(redis->errstr);
        int found = reply->type == REDIS_REPLY_ARRAY ? reply->element[1]->integer == 1
                                                     : strstr(reply->str, sign) != NULL;
        freeReplyObject(reply);
        if (found) return;
        usleep(2000);
    }
    fail("nobody waits or listens");
}

static void *push(void *unused) {
    redisContext *redis = client();
    until_one(redis, "INFO clients", "blocked_clients:1\r\n");
    DISCARD(redis, "RPUSH queue one two");
    redisFree(redis);
    return unused;
}

static void *publish(void *unused) {
    redisContext *redis = client();
    until_one(redis, "PUBSUB NUMSUB news", "");
    DISCARD(redis, "PUBLISH news one");
    DISCARD(redis, "PUBLISH news two");
    redisFree(redis);
    return unused;
}

static void waits(redisContext *redis) {
    pthread_t other;
    begin("blocking");
    pthread_create(&other, NULL, push, NULL);
    DO(redis, "BLPOP empty queue 10");
    DO(redis, "BRPOP queue 10");
    DO(redis, "BLPOP queue 0.1");
    pthread_join(other, NULL);
    begin("pub/sub");
    pthread_create(&other, NULL, publish, NULL);
    DO(redis, "SUBSCRIBE news");
    read_one(redis);
    read_one(redis);
    DO(redis, "UNSUBSCRIBE news");
    DO(redis, "PING again");
    pthread_join(other, NULL);
}

static void pool(redisContext *redis) {
    redisContext *clients[CLIENTS];
    begin("pool");
    for (int number = 0; number < CLIENTS; number++) clients[number] = client();
    // All at once: each has its command under way before the first reads its reply.
    for (int round = 0; round < 10; round++) {
        for (int number = 0; number < CLIENTS; number++) {
            int done = 0;
            redisAppendCommand(clients[number], "INCR pooled");
            while (!done) {
                if (redisBufferWrite(clients[number], &done) != REDIS_OK) fail("not written");
            }
        }
        for (int number = 0; number < CLIENTS; number++) {
            void *reply = NULL;
            if (redisGetReply(clients[number], &reply) != REDIS_OK) fail(clients[number]->errstr);
            freeReplyObject(reply);
        }
    }
    DO(redis, "GET pooled");
}

int main(int argc, char **argv) {
    if (argc != 2) fail("usage: hiredis PORT");
    port = atoi(argv[1]);
    redisContext *redis = client();
    redisContext *other = client();
    printf("{\"library\":\"hiredis\",\"version\":\"%d.%d.%d\",\"jobs\":{", HIREDIS_MAJOR,
           HIREDIS_MINOR, HIREDIS_PATCH);
    data(redis);
    pipelines(redis);
    transactions(redis, other);
    waits(redis);
    pool(redis);
    printf("]}}\n");
    fflush(stdout);
    // All connections are kept until the input ends.
    while (getchar() != EOF) continue;
    return 0;
}
