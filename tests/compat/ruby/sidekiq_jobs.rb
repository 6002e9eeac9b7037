# Sidekiq: jobs are added one at a time and in bulk, run by a worker with ten threads, one of them
# fails and is tried again, one is planned for later. Usage: ruby sidekiq_jobs.rb PORT

require_relative "jobs"
require "sidekiq"
require "sidekiq/api"

PORT = Integer(ARGV[0])
JOBS = 200
DONE = Thread::Queue.new

class Add
  include Sidekiq::Job

  def perform(number)
    Sidekiq.redis { |redis| redis.call("HINCRBY", "ran", number, 1) }
    DONE << number
  end
end

class Fail
  include Sidekiq::Job
  sidekiq_options retry: 1
  sidekiq_retry_in { 0 }

  def perform
    tries = Sidekiq.redis { |redis| redis.call("INCR", "tries") }
    raise "the first try" if tries == 1

    DONE << "failed once"
  end
end

Sidekiq.default_configuration.logger.level = Logger::FATAL
redis = { url: "redis://127.0.0.1:#{PORT}/0", timeout: 20 }
Sidekiq.configure_client { |config| config.redis = redis }

jobs = {}
100.times { |number| Add.perform_async(number) }
Add.perform_bulk((100...JOBS).map { |number| [number] })
Add.perform_in(1, "later")
Fail.perform_async
jobs["queued"] = [Sidekiq::Queue.new.size, Sidekiq::ScheduledSet.new.size]

worker = Sidekiq.configure_embed do |config|
  config.redis = redis
  config.concurrency = 10
  config[:poll_interval_average] = 1
end
worker.run
# It would wait for up to ten seconds more, by chance.
eventually { Sidekiq::RetrySet.new.size == 1 }
Sidekiq::RetrySet.new.retry_all
done = (JOBS + 2).times.map { DONE.pop }
eventually { Sidekiq::ProcessSet.new.size == 1 }
stats = Sidekiq::Stats.new
jobs["run"] = [done.map(&:to_s).sort, stats.enqueued, stats.retry_size, stats.scheduled_size]
ran = Sidekiq.redis { |connection| connection.call("HGETALL", "ran") }
jobs["each once"] = ran.to_a.flatten.each_slice(2).map(&:last).tally
jobs["processes"] = Sidekiq::ProcessSet.new.map { |process| process["concurrency"] }

report("Sidekiq", Sidekiq::VERSION, jobs)
worker.stop
