-- Deletes a job that is not active, and the children that it has in a flow.
-- ARGV[1]: id. Returns why it cannot be done, or false.
local id = ARGV[1]
if redis.call('EXISTS', root .. id) == 0 then return 'there is none' end
if redis.call('LPOS', root .. 'active', id) then return 'it is active' end
local done = remove_one(id, '1', false)
if done == 0 then return 'it, or a child of it, is active' end
if done == -8 then return 'a job scheduler has made it to be the next one' end
return false
