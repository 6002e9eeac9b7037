# What the programs of this folder share: the libraries, and the line that says what came of the jobs.


gems = "#{ENV.fetch("TEST_CLIENTS")}/debian/usr/share/rubygems-integration/all/gems"
$LOAD_PATH.unshift(*Dir["#{gems}/*/lib", "#{gems}/*/lib/concurrent-ruby"])

require "json"
require "digest"

CLIENTS = 20

# What a client needs where the port speaks TLS: who has signed its certificate.
authority = ENV["TEST_TLS_AUTHORITY"]
TLS = authority ? { ssl: true, ssl_params: { ca_file: authority } } : {}

# Polls until the block is true.
def eventually
  deadline = Process.clock_gettime(Process::CLOCK_MONOTONIC) + 20
  until yield
    abort "not within 20 s" if Process.clock_gettime(Process::CLOCK_MONOTONIC) > deadline
    sleep 0.002
  end
end

# Says what came of it, and keeps all connections until its input ends.
def report(library, version, jobs)
  puts JSON.generate({ library: library, version: version, jobs: jobs })
  $stdout.flush
  $stdin.gets
end

def failure
  yield
rescue StandardError => error
  # Behind it the library says where it was connected to.
  "#{error.class}: #{error.message.sub(/ \(rediss?:.*\)\z/, "")}"
end
