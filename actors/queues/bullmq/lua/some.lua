-- Calls again(id) for the first jobs of a set.
-- ARGV: the set, how many. Returns how many were looked at, and how many again(id) was true of.
local ids = redis.call('ZRANGE', root .. ARGV[1], 0, ARGV[2] - 1)
local count = 0
for _, id in ipairs(ids) do if again(id) then count = count + 1 end end
return {#ids, count}
