-- Redis as the package's scripts see it here. Within one script nothing comes between two calls: what was read once of
-- the queue's settings is not read again, and what is to be done once is not done for each job.
local quick = {pcall = redis.pcall, sha1hex = redis.sha1hex, log = redis.log}
do
  local real, meta, marker = redis.call, root .. 'meta', root .. 'marker'
  local settings, longest, is_trimmed, is_marked = {}, nil, false, false
  quick.call = function(command, key, first, ...)
    if key == meta then
      if command == 'HMGET' then
        -- The package asks for two of them, or for four.
        local count = select('#', ...)
        local known = settings[count]
        if not known then
          known = real(command, key, first, ...)
          settings[count] = known
        end
        return known
      elseif command == 'HGET' and first == 'opts.maxLenEvents' then
        longest = longest or real(command, key, first)
        return longest
      end
    elseif command == 'XTRIM' then
      if is_trimmed then return 0 end
      is_trimmed = true
    elseif key == marker and command == 'ZADD' and first == 0 then
      if is_marked then return 0 end
      is_marked = true
    end
    if first == nil then
      return real(command, key)
    end
    return real(command, key, first, ...)
  end
end
