-- Given to wrk by scale_load.py: `args[1]` header fields in every request, of which the first is
-- another one each time, as an X-Request-Id is. The requests are made before the load, so that
-- wrk calls Lua for a look into a table alone.

dofile(debug.getinfo(1, "S").source:match("^@(.*/)") .. "wrk.lua")

local requests, last = {}, 0

function init(args)
  for number = 1, 512 do
    wrk.headers["X-Field-001"] = string.format("value-of-field-%08d", number)
    for field = 2, tonumber(args[1]) do
      wrk.headers[string.format("X-Field-%03d", field)] = "value-of-field-00000000"
    end
    requests[number] = wrk.format("GET")
  end
end

function request()
  last = last % #requests + 1
  return requests[last]
end
