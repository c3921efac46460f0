-- Calls again(id) for these jobs, for all of them or none.
-- ARGV: the set that they are in, ids. Returns how many there were, or the id of one that is not there.
for at = 2, #ARGV do
  if not redis.call('ZSCORE', root .. ARGV[1], ARGV[at]) then return ARGV[at] end
end
local count = 0
for at = 2, #ARGV do if again(ARGV[at]) then count = count + 1 end end
return count
