-- Redis as the package's scripts that add jobs see it, beside what quick.lua has: ids are counted and jobs are put into
-- their list once for all of them, and what we keep beside a job is written with it.
local adding = {pcall = redis.pcall}
do
  local real, counter_key = redis.call, root .. 'id'
  local counter, counted = nil, 0
  local push, list, ids = nil, nil, {}

  local function put()
    if list then
      real(push, list, unpack(ids))
      push, list, ids = nil, nil, {}
    end
  end

  local function later(command, key, id)
    if key ~= list or command ~= push then
      put()
      push, list = command, key
    end
    ids[#ids + 1] = id
  end

  -- To be called at the end.
  adding.finish = function()
    put()
    if counted > 0 then real('INCRBY', counter_key, counted) end
  end

  -- The number that the package has given the last job.
  adding.number = function() return tostring(counter) end

  -- What is to be written with the next job, `pm` and `pmk`, empty where there is nothing; and whether it was.
  adding.envelope, adding.order_key, adding.is_kept = '', '', false

  adding.keep = function(command, key, ...)
    local envelope, order_key = adding.envelope, adding.order_key
    if envelope ~= '' and order_key ~= '' then
      return real(command, key, 'pm', envelope, 'pmk', order_key, ...)
    elseif envelope ~= '' then
      return real(command, key, 'pm', envelope, ...)
    elseif order_key ~= '' then
      return real(command, key, 'pmk', order_key, ...)
    end
    return real(command, key, ...)
  end

  adding.call = function(command, key, ...)
    if command == 'XADD' or command == 'EXISTS' then
      return real(command, key, ...)
    elseif command == 'LPUSH' or command == 'RPUSH' then
      return later(command, key, ...)
    elseif key == list then
      put()
    elseif command == 'INCR' and key == counter_key then
      counter = (counter or tonumber(real('GET', key)) or 0) + 1
      counted = counted + 1
      return counter
    elseif command == 'HMSET' and ... == 'name' then
      adding.is_kept = true
      return adding.keep(command, key, ...)
    end
    return quick.call(command, key, ...)
  end
end
