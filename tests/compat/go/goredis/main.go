// go-redis as applications use it: a client is a pool. Usage: goredis PORT
package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"os"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"

	. "narrows.test/clients/jobs"
)

var every = context.Background()

func client(db int) *redis.Client {
	return redis.NewClient(&redis.Options{
		Addr: "127.0.0.1:" + os.Args[1], DB: db, PoolSize: Clients, ReadTimeout: 20 * time.Second,
		PoolTimeout: 20 * time.Second, TLSConfig: TLS(),
	})
}

func data(rdb *redis.Client, done Jobs) {
	done["strings"] = []any{
		Said(rdb.Set(every, "text", "café\r\n", 0).Result()), Said(rdb.Get(every, "text").Result()),
		Said(rdb.Get(every, "missing").Result()), Said(rdb.Set(every, "bytes", []byte{0, 255, 13, 10}, 0).Result()),
		fmt.Sprintf("%x", Must(rdb.Get(every, "bytes").Bytes())),
		Said(rdb.MSet(every, "a", 1, "b", 2).Result()), Said(rdb.MGet(every, "a", "missing", "b").Result()),
		Said(rdb.SetNX(every, "once", 1, time.Minute).Result()), Said(rdb.SetNX(every, "once", 2, time.Minute).Result()),
	}
	done["hashes and sorted sets"] = []any{
		Said(rdb.HSet(every, "hash", "f", "1", "g", "2").Result()), Said(rdb.HGetAll(every, "hash").Result()),
		Said(rdb.ZAdd(every, "zset", redis.Z{Score: 1.5, Member: "m"}).Result()),
		Said(rdb.ZRangeWithScores(every, "zset", 0, -1).Result()),
		Said(rdb.XAdd(every, &redis.XAddArgs{Stream: "stream", ID: "1-1", Values: []string{"f", "v"}}).Result()),
		Said(rdb.XRange(every, "stream", "-", "+").Result()),
	}
	done["errors"] = []any{
		Said(rdb.LPush(every, "text", "x").Result()), Said(rdb.Do(every, "NOTHING", "x").Result()),
	}
	found := []string{}
	for each := rdb.Scan(every, 0, "[ab]", 2).Iterator(); each.Next(every); {
		found = append(found, each.Val())
	}
	sort.Strings(found)
	done["scan"] = found
	Must(rdb.Set(every, "big", strings.Repeat("x", 3<<20), 0).Result())
	done["big values"] = fmt.Sprintf("%x", md5.Sum(Must(rdb.Get(every, "big").Bytes())))
}

// What each command of a pipeline came to.
func texts(commands []redis.Cmder, err error) []string {
	said := []string{fmt.Sprint(err)}
	for _, command := range commands {
		said = append(said, command.String())
	}
	return said
}

func pipelines(rdb *redis.Client, done Jobs) {
	done["pipeline"] = texts(rdb.Pipelined(every, func(pipe redis.Pipeliner) error {
		for number := 0; number < 500; number++ {
			pipe.Set(every, fmt.Sprint("key:", number), number, 0)
			pipe.Get(every, fmt.Sprint("key:", number))
			pipe.Incr(every, "piped")
		}
		return nil
	}))
	done["transaction"] = texts(rdb.TxPipelined(every, func(pipe redis.Pipeliner) error {
		pipe.Set(every, "t", "x", 0)
		pipe.Incr(every, "n")
		pipe.LPush(every, "t", "z")
		return nil
	}))
	tries := 0
	increment := func(tx *redis.Tx) error {
		seen := Must(tx.Get(every, "n").Int())
		if tries++; tries == 1 {
			Must(rdb.Incr(every, "n").Result())
		}
		_, err := tx.TxPipelined(every, func(pipe redis.Pipeliner) error {
			pipe.Set(every, "n", seen+10, 0)
			return nil
		})
		return err
	}
	lost := rdb.Watch(every, increment, "n")
	won := rdb.Watch(every, increment, "n")
	done["watch"] = []any{errors.Is(lost, redis.TxFailedErr), won == nil, tries, rdb.Get(every, "n").Val()}
	script := redis.NewScript(`return {KEYS[1], ARGV[1], redis.call("INCR", KEYS[1])}`)
	keys := []string{"scripted"}
	done["scripts"] = []any{
		Said(script.EvalSha(every, rdb, keys, "v").Result()), Said(script.Run(every, rdb, keys, "v").Result()),
		Said(script.Run(every, rdb, keys, "v").Result()),
	}
	third := client(3)
	defer third.Close()
	done["databases"] = []any{
		Said(third.Set(every, "a", "three", 0).Result()), third.Get(every, "a").Val(), rdb.Get(every, "a").Val(),
	}
}

func waits(rdb *redis.Client, done Jobs) {
	var pushing sync.WaitGroup
	pushing.Add(1)
	go func() {
		defer pushing.Done()
		Eventually(func() bool {
			return strings.Contains(rdb.Info(every, "clients").Val(), "blocked_clients:1\r\n")
		})
		rdb.RPush(every, "queue", "one", "two")
	}()
	done["blocking"] = []any{
		Said(rdb.BLPop(every, 10*time.Second, "empty", "queue").Result()),
		Said(rdb.BRPop(every, 10*time.Second, "queue").Result()),
		Said(rdb.BLPop(every, time.Second, "queue").Result()),
	}
	pushing.Wait()

	subscriber := rdb.Subscribe(every, "news")
	Must(0, subscriber.PSubscribe(every, "ne*"))
	Eventually(func() bool {
		return rdb.PubSubNumPat(every).Val() == 1 && rdb.PubSubNumSub(every, "news").Val()["news"] == 1
	})
	for _, text := range []string{"one", "two", "three"} {
		Must(rdb.Publish(every, "news", text).Result())
	}
	heard := []any{}
	channel := subscriber.Channel()
	for len(heard) < 6 {
		message := <-channel
		heard = append(heard, []string{message.Pattern, message.Channel, message.Payload})
	}
	done["pub/sub"] = heard
	Must(0, subscriber.Close())
}

func main() {
	rdb := client(0)
	done := Jobs{}
	data(rdb, done)
	pipelines(rdb, done)
	waits(rdb, done)

	var all, ready sync.WaitGroup
	ready.Add(Clients)
	for number := 0; number < Clients; number++ {
		all.Add(1)
		go func() {
			defer all.Done()
			conn := rdb.Conn()
			defer conn.Close()
			Must(conn.Ping(every).Result())
			ready.Done()
			ready.Wait()
			for round := 0; round < 10; round++ {
				Must(conn.Incr(every, "pooled").Result())
			}
		}()
	}
	all.Wait()
	done["pool"] = []any{rdb.Get(every, "pooled").Val(), rdb.PoolStats().TotalConns}
	Report("go-redis", redis.Version(), done)
}
