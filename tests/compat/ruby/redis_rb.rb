# redis-rb as applications use it, and a pool of it from connection_pool. Usage: ruby redis_rb.rb PORT

require_relative "jobs"
require "redis"
require "connection_pool"

PORT = Integer(ARGV[0])

def client(**options)
  Redis.new(host: "127.0.0.1", port: PORT, timeout: 20, **TLS, **options)
end

redis = client
other = client
jobs = {}

jobs["strings"] = [
  redis.set("text", "caf\u00e9\r\n"), redis.get("text"), redis.get("missing"),
  redis.set("bytes", "\0\xff\r\n".b), redis.get("bytes").unpack1("H*"),
  redis.mset("a", 1, "b", 2), redis.mget("a", "missing", "b"),
  redis.set("once", 1, nx: true, ex: 100), redis.set("once", 2, nx: true, ex: 100),
  redis.incrby("count", 41), redis.incr("count"),
]
jobs["hashes and sorted sets"] = [
  redis.hset("hash", { f: 1, g: 2 }), redis.hgetall("hash"),
  redis.zadd("zset", [[1.5, "m"], [2, "n"]]), redis.zrange("zset", 0, -1, with_scores: true),
]
jobs["errors"] = [failure { redis.lpush("text", "x") }, failure { redis.call("NOTHING", "x") }]
jobs["scan"] = redis.scan_each(match: "[ab]", count: 2).to_a.uniq.sort
redis.set("big", "x" * (3 << 20))
jobs["big values"] = Digest::MD5.hexdigest(redis.get("big"))

jobs["pipeline"] = redis.pipelined do |pipe|
  500.times do |number|
    pipe.set("key:#{number}", number)
    pipe.get("key:#{number}")
    pipe.incr("piped")
  end
end

jobs["transaction"] = [
  redis.multi { |block| block.set("t", "x"); block.incr("n"); block.get("t") },
  failure { redis.multi { |block| block.set("t", "y"); block.lpush("t", "z") } },
  redis.get("t"),
]

lost = redis.watch("n") do |watching|
  other.incr("n")
  watching.multi { |block| block.set("w", "lost") }
end
won = redis.watch("n") { |watching| watching.multi { |block| block.set("w", "won") } }
jobs["watch"] = [lost, won, redis.get("w"), redis.watch("n") { |watching| watching.unwatch }]

script = 'return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}'
jobs["scripts"] = [
  failure { redis.evalsha(Digest::SHA1.hexdigest(script), ["scripted"], ["v"]) },
  redis.eval(script, ["scripted"], ["v"]),
  redis.evalsha(redis.script(:load, script), ["scripted"], ["v"]),
]

third = client(db: 3)
jobs["databases"] = [third.set("a", "three"), third.get("a"), redis.get("a")]

pusher = Thread.new do
  eventually { other.info("clients")["blocked_clients"] == "1" }
  other.rpush("queue", %w[one two])
end
jobs["blocking"] = [
  redis.blpop("empty", "queue", timeout: 10), redis.brpop("queue", timeout: 10),
  redis.blpop("queue", timeout: 1), redis.blmove("queue", "moved", "LEFT", "RIGHT", timeout: 1),
]
pusher.join

heard = []
publisher = Thread.new do
  eventually { other.pubsub(:numsub, "news") == ["news", 1] && other.pubsub(:numpat) == 1 }
  %w[one two three].each { |text| other.publish("news", text) }
end
subscriber = client
patterns = Thread.new do
  client.psubscribe("ne*") do |on|
    on.pmessage do |pattern, channel, text|
      heard << [pattern, channel, text]
      Thread.current[:heard] = heard.length
      raise StopIteration if text == "three"
    end
  end
rescue StopIteration
  nil
end
messages = []
subscriber.subscribe("news") do |on|
  on.message do |channel, text|
    messages << [channel, text]
    subscriber.unsubscribe("news") if text == "three"
  end
end
[publisher, patterns].each(&:join)
jobs["pub/sub"] = [messages, heard, subscriber.ping]

pool = ConnectionPool.new(size: CLIENTS) { client }
start = Thread::Queue.new
threads = CLIENTS.times.map do
  Thread.new do
    pool.with { |pooled| start.pop; 10.times { pooled.incr("pooled") } }
  end
end
eventually { start.num_waiting == CLIENTS }
CLIENTS.times { start << :go }
threads.each(&:join)
jobs["pool"] = redis.get("pooled")

report("redis-rb", Redis::VERSION, jobs)
