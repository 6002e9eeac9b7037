//! Conversations about data: every type, and the errors of each. Only what
//! has one answer: nothing random, nothing that depends on the clock.

pub const CONVERSATIONS: &[(&str, &str)] = &[
    ("strings", STRINGS),
    ("numbers", NUMBERS),
    ("bitmaps", BITMAPS),
    ("hashes", HASHES),
    ("lists", LISTS),
    ("sets", SETS),
    ("sorted sets", SORTED_SETS),
    ("streams", STREAMS),
    ("stream groups", STREAM_GROUPS),
    ("places", GEO),
    ("counting", HYPERLOGLOG),
    ("keys", KEYS),
    ("wrong types", WRONG_TYPES),
    ("wrong arguments", WRONG_ARGUMENTS),
];

const STRINGS: &str = r#"
    SET a 1
    GET a
    get a
    GeT missing
    SET "" empty-key
    GET ""
    SET empty ""
    GET empty
    SET "binary\x00\xff\r\n" "\x00\x01\r\n$5\r\n\xfe"
    GET "binary\x00\xff\r\n"
    APPEND a "23"
    STRLEN a
    GETRANGE a 0 1
    GETRANGE a -2 -1
    GETRANGE missing 0 -1
    SUBSTR a 0 0
    SETRANGE a 5 xyz
    GET a
    SETNX a no
    SETNX b yes
    SET c 1 NX GET
    SET c 2 XX
    SET c 3 NX
    SET c 4 XX GET
    SET c 5 KEEPTTL
    SET c 5 PX
    SET c 5 NX XX
    SET c 5 EX 0
    SET c 5 EX nan
    GETSET c 6
    GETDEL c
    GETDEL c
    GETEX b PERSIST
    MSET m1 1 m2 2 m3 3
    MSET m1
    MSET m1 1 m2
    MGET m1 missing m2 "" empty
    MSETNX m3 x m4 y
    MSETNX m5 x m6 y
    EXISTS m5 m5 missing
    LCS m1 m2
    MSET l1 ohmytext l2 mynewtext
    LCS l1 l2
    LCS l1 l2 LEN
    LCS l1 l2 IDX MINMATCHLEN 2 WITHMATCHLEN
    DEL a b c missing
    UNLINK m1
    TYPE m2
    TYPE missing
"#;

const NUMBERS: &str = r#"
    INCR n
    INCRBY n 41
    DECR n
    DECRBY n 100
    INCRBY n notanumber
    INCRBYFLOAT f 3.25
    INCRBYFLOAT f -1e3
    INCRBYFLOAT f inf
    SET max 9223372036854775807
    INCR max
    DECRBY max -9223372036854775808
    SET text abc
    INCR text
    INCRBYFLOAT text 1
    GET n
    GET f
"#;

const BITMAPS: &str = r#"
    SETBIT bits 7 1
    SETBIT bits 100 1
    GETBIT bits 7
    GETBIT bits 8
    BITCOUNT bits
    BITCOUNT bits 0 0
    BITCOUNT bits 0 50 BIT
    BITPOS bits 1
    BITPOS bits 0 1
    BITOP NOT inverse bits
    BITOP AND both bits inverse
    STRLEN both
    BITFIELD bits SET u8 0 255 GET i8 0 INCRBY u2 100 1 OVERFLOW FAIL INCRBY u2 100 3
    BITFIELD_RO bits GET u4 0
    BITFIELD bits GET u64 0
    SETBIT bits -1 1
    SETBIT bits 1 2
    BITOP XOR
"#;

const HASHES: &str = r#"
    HSET h f1 v1 f2 v2 "f\x003" ""
    HSET h f1
    HGET h f1
    HGET h missing
    HMGET h f1 missing "f\x003"
    HGETALL h
    HGETALL missing
    HKEYS h
    HVALS h
    HLEN h
    HSTRLEN h f1
    HEXISTS h f2
    HSETNX h f2 no
    HMSET h f4 v4
    HINCRBY h n 5
    HINCRBY h f1 5
    HINCRBYFLOAT h n 0.5
    HDEL h f1 missing
    HSCAN h 0
    HSCAN h 0 MATCH f* COUNT 10
    HSCAN h cursor
    HRANDFIELD missing
    HRANDFIELD missing 3
    HRANDFIELD missing 3 WITHVALUES
    HGETALL h
"#;

const LISTS: &str = r#"
    RPUSH l a b c d
    LPUSH l z
    LRANGE l 0 -1
    LRANGE l 5 1
    LLEN l
    LINDEX l 0
    LINDEX l 100
    LSET l 1 B
    LSET l 100 x
    LINSERT l BEFORE B before
    LINSERT l AFTER missing x
    LINSERT l BESIDE B x
    LPOS l c
    LPOS l missing
    LPOS l c RANK 0
    LREM l 0 before
    LTRIM l 0 3
    LPUSHX missing x
    RPUSHX l x
    LPOP l
    RPOP l
    LPOP l 2
    LPOP l 0
    LPOP l -1
    LPOP missing
    LPOP missing 2
    RPUSH l 1 2 3
    LMOVE l other LEFT RIGHT
    RPOPLPUSH l other
    RPOPLPUSH missing other
    LMPOP 2 missing other LEFT COUNT 5
    LMPOP 1 missing LEFT
    LMPOP 0 missing LEFT
    SORT l DESC
    RPUSH words one two
    SORT words ALPHA
    SORT words
    SORT_RO l LIMIT 0 1
    LRANGE missing 0 -1
"#;

const SETS: &str = r#"
    SADD s 1 2 3
    SADD s 3 4
    SMEMBERS s
    SCARD s
    SISMEMBER s 1
    SMISMEMBER s 1 9
    SADD t 3 4 5
    SINTER s t
    SUNION s t
    SDIFF s t
    SINTERCARD 2 s t
    SINTERCARD 2 s t LIMIT 1
    SINTERCARD 0 s
    SINTERSTORE u s t
    SUNIONSTORE v s missing
    SDIFFSTORE w missing s
    SMOVE s t 1
    SMOVE s t 9
    SREM t 1 9
    SSCAN t 0
    SADD one member
    SPOP one
    SPOP one
    SPOP one 3
    SRANDMEMBER missing
    SRANDMEMBER missing 3
    SMEMBERS t
    SMEMBERS missing
    SINTER s missing
"#;

const SORTED_SETS: &str = r#"
    ZADD z 1 a 2 b 3.5 c
    ZADD z NX 5 a
    ZADD z XX CH 5 a
    ZADD z GT CH 4 a
    ZADD z INCR 1.5 b
    ZADD z NX INCR 1 b
    ZADD z inf top -inf bottom
    ZADD z nan x
    ZADD z 1
    ZADD z NX XX 1 a
    ZCARD z
    ZSCORE z c
    ZSCORE z missing
    ZMSCORE z a missing top
    ZRANGE z 0 -1
    ZRANGE z 0 -1 WITHSCORES
    ZRANGE z 0 1 REV WITHSCORES
    ZRANGE z (1 5 BYSCORE LIMIT 0 1
    ZRANGE z - + BYLEX
    ZREVRANGE z 0 -1 WITHSCORES
    ZRANGEBYSCORE z -inf +inf WITHSCORES LIMIT 1 2
    ZREVRANGEBYSCORE z 5 1
    ZRANGEBYSCORE z x y
    ZRANGEBYLEX z [a [b
    ZLEXCOUNT z - +
    ZCOUNT z 1 4
    ZRANK z a
    ZREVRANK z a
    ZRANK z missing
    ZINCRBY z 0.25 c
    ZADD y 1 c 2 d
    ZUNION 2 z y WITHSCORES
    ZINTER 2 z y AGGREGATE MAX WITHSCORES
    ZDIFF 2 z y
    ZINTERCARD 2 z y
    ZUNIONSTORE u 2 z y WEIGHTS 2 3
    ZRANGESTORE part z 0 1
    ZPOPMIN z
    ZPOPMAX z 2
    ZPOPMIN missing
    ZPOPMIN missing 2
    ZMPOP 2 missing z MIN COUNT 2
    ZMPOP 1 missing MIN
    ZREM u a missing
    ZREMRANGEBYRANK u 0 0
    ZREMRANGEBYSCORE u 1 2
    ZREMRANGEBYLEX u - [a
    ZSCAN u 0
    ZRANDMEMBER missing
    ZRANDMEMBER missing 2 WITHSCORES
    ZRANGE missing 0 -1 WITHSCORES
"#;

const STREAMS: &str = r#"
    XADD x 1-1 f v
    XADD x 1-2 f v g w
    XADD x 1-2 f v
    XADD x 0-0 f v
    XADD x 2-* f v
    XADD x NOMKSTREAM 3-1 f
    XADD missing NOMKSTREAM 3-1 f v
    XADD x MAXLEN 2 3-1 "" ""
    XADD x bad-id f v
    XLEN x
    XLEN missing
    XRANGE x - +
    XRANGE x - + COUNT 1
    XRANGE x (1-2 +
    XREVRANGE x + -
    XRANGE missing - +
    XREAD STREAMS x 0
    XREAD COUNT 1 STREAMS x missing 0 0
    XREAD STREAMS x $
    XREAD STREAMS missing 0
    XREAD COUNT 1 STREAMS x
    XREAD STREAMS x y 0
    XREAD STREAMS x bad
    XDEL x 1-2 9-9
    XTRIM x MAXLEN 1
    XSETID x 9-9
    XINFO STREAM x
    XINFO STREAM x FULL
    XINFO STREAM missing
    XINFO GROUPS x
"#;

const STREAM_GROUPS: &str = r#"
    XGROUP CREATE x g $
    XGROUP CREATE x g $ MKSTREAM
    XGROUP CREATE x g $
    XADD x 1-1 f v
    XADD x 1-2 f v
    XREADGROUP GROUP g alice COUNT 1 STREAMS x >
    XREADGROUP GROUP g alice STREAMS x 0
    XREADGROUP GROUP g bob STREAMS x >
    XREADGROUP GROUP g bob STREAMS x >
    XREADGROUP GROUP nobody bob STREAMS x >
    XREADGROUP GROUP g bob STREAMS x $
    XREADGROUP GROUP g bob
    XACK x g 1-1
    XACK x g 9-9
    XPENDING x nobody
    XAUTOCLAIM x g alice 0 0 JUSTID
    XCLAIM x g bob 0 9-9
    XGROUP DELCONSUMER x g bob
    XGROUP CREATECONSUMER x g carol
    XGROUP SETID x g 0
    XGROUP DESTROY x g
    XGROUP DESTROY x g
    XGROUP NOTHING x
    XGROUP
    XGROUP CREATE x
"#;

const GEO: &str = r#"
    GEOADD geo 13.361389 38.115556 Palermo 15.087269 37.502669 Catania
    GEOADD geo 200 100 nowhere
    GEODIST geo Palermo Catania
    GEODIST geo Palermo Catania km
    GEODIST geo Palermo missing
    GEOPOS geo Palermo missing
    GEOHASH geo Palermo missing
    GEOSEARCH geo FROMLONLAT 15 37 BYRADIUS 200 km ASC WITHCOORD WITHDIST WITHHASH
    GEOSEARCH geo FROMMEMBER Palermo BYBOX 400 400 km ASC COUNT 1
    GEORADIUS geo 15 37 100 km
    GEOSEARCHSTORE near geo FROMLONLAT 15 37 BYRADIUS 200 km STOREDIST
    ZCARD near
"#;

const HYPERLOGLOG: &str = r#"
    PFADD hll a b c d
    PFADD hll a
    PFCOUNT hll
    PFADD hll2 c d e
    PFCOUNT hll hll2
    PFMERGE hll3 hll hll2
    PFCOUNT hll3
    PFSELFTEST now
    SET text abc
    PFADD text a
    PFCOUNT missing
"#;

const KEYS: &str = r#"
    MSET k1 v k2 v k3 v other v
    DBSIZE
    KEYS k1*
    KEYS *
    KEYS nothing*
    SCAN 0 COUNT 100
    SCAN 0 MATCH other COUNT 100 TYPE string
    SCAN x
    RENAME k1 k9
    RENAME k1 k9
    RENAMENX k2 k9
    COPY k9 k1
    COPY k9 k1 REPLACE
    COPY k9 k1 DB 3 REPLACE
    MOVE k3 3
    MOVE k3 99
    EXISTS k1 k2 k3
    TTL k1
    TTL missing
    PTTL k1
    EXPIRE missing 100
    EXPIRE k1 100 XX
    EXPIRE k1 x
    PERSIST k1
    EXPIRETIME k1
    EXPIREAT k1 1
    EXISTS k1
    TOUCH k2 missing
    OBJECT ENCODING k2
    OBJECT REFCOUNT k2
    OBJECT FREQ k2
    OBJECT ENCODING missing
    OBJECT HELP
    OBJECT NOTHING k2
    OBJECT
    OBJECT ENCODING
    DUMP missing
    SET n 10
    DUMP n
    RESTORE copy 0 "\x00\xc0\n\n\x00n\x9fWE\x0e\xaec\xbb"
    RESTORE copy 0 rubbish
    RESTORE copy -1 rubbish
    RANDOMKEY x
    FLUSHDB nothing
    FLUSHDB
    DBSIZE
    RANDOMKEY
    SWAPDB 0 1
    SWAPDB 0 x
    FLUSHALL ASYNC
"#;

const WRONG_TYPES: &str = r#"
    SET str v
    RPUSH list v
    HSET hash f v
    SADD set v
    ZADD zset 1 v
    XADD stream 1-1 f v
    LPUSH str x
    GET list
    HGET set f
    SADD zset x
    ZADD hash 1 x
    XADD str * f v
    INCR list
    PFADD list x
    APPEND hash x
    SETBIT zset 1 1
    GEOADD list 1 1 x
    LCS str list
    ZUNIONSTORE out 2 zset list
    SUNION set list
    MGET str list
    XREAD STREAMS str 0
    SORT str
    RENAME str list
    TYPE list
    TYPE stream
"#;

const WRONG_ARGUMENTS: &str = r#"
    GET
    GET a b
    SET a
    MGET
    HSET h
    ZADD
    PING a b
    ECHO
    ECHO a b
    DBSIZE x
    SELECT
    SELECT 1 2
    TIME now
    OBJECT ENCODING a b
    XADD x * f
    LPOP l 1 2
    EXPIRE a
    RENAME a
    GETEX a NONSENSE
    SCAN 0 COUNT 0
    SCAN 0 TYPE
    SET a b EX 10 PX 10
    ZRANGE z 0 x
    LRANGE l a b
    BITCOUNT b 1
    PUBLISH a
    EVAL
"#;
