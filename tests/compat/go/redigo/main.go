// redigo as applications use it. Usage: redigo PORT
package main

import (
	"crypto/md5"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/gomodule/redigo/redis"

	. "narrows.test/clients/jobs"
)

var address = "127.0.0.1:" + os.Args[1]

func dial() (redis.Conn, error) {
	config := TLS()
	return redis.Dial("tcp", address, redis.DialReadTimeout(20*time.Second),
		redis.DialUseTLS(config != nil), redis.DialTLSConfig(config))
}

// What a reply holds, as plain values.
func plain(reply any, err error) any {
	switch value := reply.(type) {
	case []byte:
		return string(value)
	case redis.Error:
		return "error: " + value.Error()
	case []any:
		values := make([]any, len(value))
		for i, part := range value {
			values[i] = plain(part, nil)
		}
		return values
	}
	return Said(reply, err)
}

func do(conn redis.Conn, command string, arguments ...any) any {
	return plain(conn.Do(command, arguments...))
}

func data(conn redis.Conn, done Jobs) {
	done["strings"] = []any{
		do(conn, "SET", "text", "café\r\n"), do(conn, "GET", "text"), do(conn, "GET", "missing"),
		do(conn, "SET", "bytes", []byte{0, 255, 13, 10}),
		fmt.Sprintf("%x", Must(redis.Bytes(conn.Do("GET", "bytes")))),
		do(conn, "MSET", "a", 1, "b", 2), do(conn, "MGET", "a", "missing", "b"),
	}
	done["hashes and sorted sets"] = []any{
		do(conn, "HSET", redis.Args{}.Add("hash").AddFlat(map[string]int{"f": 1})...),
		Must(redis.StringMap(conn.Do("HGETALL", "hash"))),
		do(conn, "ZADD", "zset", 1.5, "m", 2, "n"), do(conn, "ZRANGE", "zset", 0, -1, "WITHSCORES"),
	}
	done["errors"] = []any{do(conn, "LPUSH", "text", "x"), do(conn, "NOTHING", "x")}
	big := strings.Repeat("x", 3<<20)
	do(conn, "SET", "big", big)
	done["big values"] = fmt.Sprintf("%x", md5.Sum(Must(redis.Bytes(conn.Do("GET", "big")))))
}

func pipelines(conn redis.Conn, done Jobs) {
	for number := 0; number < 500; number++ {
		Must(0, conn.Send("SET", fmt.Sprint("key:", number), number))
		Must(0, conn.Send("GET", fmt.Sprint("key:", number)))
		Must(0, conn.Send("INCR", "piped"))
	}
	Must(0, conn.Flush())
	replies := make([]any, 1500)
	for i := range replies {
		replies[i] = plain(conn.Receive())
	}
	done["pipeline"] = replies
}

func transactions(conn, other redis.Conn, done Jobs) {
	Must(0, conn.Send("MULTI"))
	Must(0, conn.Send("SET", "t", "x"))
	Must(0, conn.Send("INCR", "n"))
	Must(0, conn.Send("LPUSH", "t", "z"))
	done["transaction"] = []any{
		do(conn, "EXEC"), do(conn, "MULTI"), do(conn, "SET", "t", "y"), do(conn, "DISCARD"), do(conn, "GET", "t"),
	}
	attempt := func(between func(), value string) any {
		do(conn, "WATCH", "n")
		between()
		do(conn, "MULTI")
		do(conn, "SET", "w", value)
		return do(conn, "EXEC")
	}
	done["watch"] = []any{
		attempt(func() { do(other, "INCR", "n") }, "lost"), attempt(func() {}, "won"), do(conn, "GET", "w"),
	}
	script := redis.NewScript(1, `return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}`)
	done["scripts"] = []any{
		do(conn, "EVALSHA", script.Hash(), 1, "scripted", "v"),
		plain(script.Do(conn, "scripted", "v")), plain(script.Do(conn, "scripted", "v")),
	}
	done["databases"] = []any{
		do(other, "SELECT", 3), do(other, "SET", "a", "three"), do(other, "GET", "a"),
		do(other, "SELECT", 0), do(conn, "GET", "a"),
	}
}

func waits(conn, other redis.Conn, done Jobs) {
	var pushing sync.WaitGroup
	pushing.Add(1)
	go func() {
		defer pushing.Done()
		Eventually(func() bool {
			return strings.Contains(Must(redis.String(other.Do("INFO", "clients"))), "blocked_clients:1\r\n")
		})
		do(other, "RPUSH", "queue", "one", "two")
	}()
	done["blocking"] = []any{
		do(conn, "BLPOP", "empty", "queue", 10), do(conn, "BRPOP", "queue", 10), do(conn, "BLPOP", "queue", 0.1),
	}
	pushing.Wait()

	subscriber := redis.PubSubConn{Conn: Must(dial())}
	Must(0, subscriber.Subscribe("news"))
	Must(0, subscriber.PSubscribe("ne*"))
	heard := []any{}
	for len(heard) < 8 {
		switch message := subscriber.Receive().(type) {
		case redis.Message:
			heard = append(heard, []string{message.Pattern, message.Channel, string(message.Data)})
		case redis.Subscription:
			heard = append(heard, []any{message.Kind, message.Channel, message.Count})
			if message.Count == 2 {
				for _, text := range []string{"one", "two", "three"} {
					do(other, "PUBLISH", "news", text)
				}
			}
		case error:
			Must(0, message)
		}
	}
	Must(0, subscriber.Unsubscribe())
	Must(0, subscriber.PUnsubscribe())
	for i := 0; i < 2; i++ {
		message := subscriber.Receive().(redis.Subscription)
		heard = append(heard, []any{message.Kind, message.Channel, message.Count})
	}
	done["pub/sub"] = append(heard, do(subscriber.Conn, "ECHO", "again"))
}

func main() {
	conn, other := Must(dial()), Must(dial())
	done := Jobs{}
	data(conn, done)
	pipelines(conn, done)
	transactions(conn, other, done)
	waits(conn, other, done)

	pool := &redis.Pool{Dial: dial, MaxIdle: Clients, MaxActive: Clients, Wait: true}
	var all sync.WaitGroup
	taken := make(chan redis.Conn, Clients)
	for number := 0; number < Clients; number++ {
		all.Add(1)
		go func() {
			defer all.Done()
			pooled := pool.Get()
			for round := 0; round < 10; round++ {
				do(pooled, "INCR", "pooled")
			}
			taken <- pooled
		}()
	}
	all.Wait()
	for number := 0; number < Clients; number++ {
		Must(0, (<-taken).Close())
	}
	done["pool"] = []any{do(conn, "GET", "pooled"), pool.ActiveCount()}
	Report("redigo", Version("github.com/gomodule/redigo"), done)
}
