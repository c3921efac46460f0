-- Adds a line to a job's log, which keeps as many as the job says. Wants a maker of the package's script as add_log.
-- ARGV: id, line. Returns how many there are; -1: there is no such job.
local id = ARGV[1]
local read, options = pcall(cjson.decode, redis.call('HGET', root .. id, 'opts') or '{}')
local keep = read and type(options) == 'table' and options['kl']
return add_log(redis)({root .. id, root .. id .. ':logs'}, {id, ARGV[2], keep and tostring(keep) or ''})
