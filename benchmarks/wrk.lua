-- Given to wrk by load.py: makes the request a POST of args[1] bytes if asked, sends args[2] of
-- them in one write if that is more than one, and prints the counts as JSON. There is no `request`
-- function on purpose: with one, wrk calls Lua for every request and becomes the bottleneck. It
-- makes its constant request with wrk.format when init is done, and counts the answers to expect
-- by parsing it.

function init(args)
  if args[1] and args[1] ~= "0" then
    wrk.method = "POST"
    wrk.body = string.rep("x", tonumber(args[1]))
    wrk.headers["Content-Type"] = "application/octet-stream"
  end
  if args[2] then
    local one = wrk.format()
    wrk.format = function() return string.rep(one, tonumber(args[2])) end
  end
end

function done(summary, latency, requests)
  local e = summary.errors
  io.write(string.format(
    '\n{"requests": %d, "bytes": %d, "microseconds": %d, "connect": %d, "read": %d, '
      .. '"write": %d, "status": %d, "timeout": %d, "p50_us": %d, "p99_us": %d}\n',
    summary.requests, summary.bytes, summary.duration,
    e.connect, e.read, e.write, e.status, e.timeout,
    latency:percentile(50), latency:percentile(99)))
end
