-- Finishes jobs, and claims others. Wants makers of the package's scripts as move_to_finished, move_to_delayed, retry_job,
-- release_job and claim, and what quick.lua and order.lua have.
-- ARGV[1], packed: now, token, seq, ack (the last turn whose answer arrived), want, claim (packed options of
--   the package), sign (what usable order keys begin with; false: no order), keys (ids and order keys to be kept).
-- Then for each finished job: kind (c, f, r, b: given back), id, the turn that it was first told in, order key,
--   value or reason or delay, packed options or push command, packed fields, deduplication id.
-- Returns: 1 (0: a later turn was done already), for each finished one a code or {an error}, for each claimed one its
--   id and its hash, milliseconds that a limiter holds back, when the next delayed job is due, for each job whose key
--   is wanted first its id and its hash, and an error or an empty text.
local asked = cmsgpack.unpack(ARGV[1])
local now, token, sign = asked.now, asked.token, asked.sign
local at = function(name) return root .. name end

local RECORD = root .. 'pm:turn:' .. token
local last, unheard = 0, {}
local record = redis.call('GET', RECORD)
if record then
  record = cmsgpack.unpack(record)
  last, unheard = record[1], record[2]
end
if asked.seq <= last then
  return {0}
end
if asked.ack >= last then
  unheard = {}
end

local function text_of(problem)
  return type(problem) == 'table' and problem.err or tostring(problem)
end

-- Finish

local WAIT, ACTIVE, EVENTS, META, MARKER = at('wait'), at('active'), at('events'), at('meta'), at('marker')
local PRIORITIZED, DELAYED, PAUSED, STALLED = at('prioritized'), at('delayed'), at('paused'), at('stalled')
local LIMITER, PC = at('limiter'), at('pc')

local function finished_keys(target)
  return {WAIT, ACTIVE, PRIORITIZED, EVENTS, STALLED, LIMITER, DELAYED, PAUSED, META, PC, at(target), '',
    at('metrics:' .. target), MARKER}
end

local finish_one, claim_one
local keys_of = {c = finished_keys('completed'), f = finished_keys('failed')}
local has_owners = redis.call('EXISTS', OWNERS) == 1

local function finish_for_good(kind, first, id)
  local keys, deduplication = keys_of[kind], ARGV[first + 7]
  keys[12] = root .. id
  local behind
  if deduplication ~= '' then
    behind = redis.call('HMGET', root .. 'dn:' .. deduplication, 'jid', 'pm', 'pmk')
  end
  local is_done = kind == 'c'
  finish_one = finish_one or move_to_finished(quick)
  local code = finish_one(keys, {id, now, is_done and 'returnvalue' or 'failedReason', ARGV[first + 4],
    is_done and 'completed' or 'failed', '', root, ARGV[first + 5], ARGV[first + 6]})
  if code == 0 then
    if has_owners and ARGV[first + 3] ~= '' then
      give_up_key(id, ARGV[first + 3])
    end
    if behind and behind[1] and redis.call('EXISTS', root .. behind[1]) == 1 then
      if behind[2] then redis.call('HSET', root .. behind[1], 'pm', behind[2]) end
      if behind[3] then redis.call('HSET', root .. behind[1], 'pmk', behind[3]) end
    end
  end
  return code
end

local function finish(first)
  local kind, id = ARGV[first], ARGV[first + 1]
  if tonumber(ARGV[first + 2]) <= last then
    return 0
  end
  if kind == 'c' or kind == 'f' then
    return finish_for_good(kind, first, id)
  elseif kind == 'b' then
    local code = release_job(quick)({ACTIVE, WAIT, STALLED, PAUSED, META, LIMITER, PRIORITIZED, MARKER, EVENTS},
      {id, token, root .. id})
    if code >= 0 then
      -- Of those with a priority the package tells nobody.
      if redis.call('ZREM', PRIORITIZED, id) == 1 then to_the_front(id) end
      return 0
    end
    return code
  elseif ARGV[first + 4] == '0' then
    return retry_job(quick)({ACTIVE, WAIT, PAUSED, root .. id, META, EVENTS, DELAYED, PRIORITIZED, PC, MARKER, STALLED},
      {root, now, ARGV[first + 5], id, token, ARGV[first + 6]})
  end
  return move_to_delayed(quick)({MARKER, ACTIVE, PRIORITIZED, DELAYED, root .. id, EVENTS, META, STALLED, WAIT, LIMITER, PC},
    {root, now, id, token, ARGV[first + 4], '0', ARGV[first + 6], '0'})
end

local codes = {}
for first = 2, #ARGV, 8 do
  local is_well, code = pcall(finish, first)
  codes[#codes + 1] = is_well and code or {text_of(code)}
end

-- Claim

local jobs, claimed, wanted = {}, {}, {}
local held_ms, due, problem = 0, 0, ''
for _, id in ipairs(unheard) do
  if redis.call('GET', root .. id .. ':lock') == token then
    claimed[#claimed + 1] = id
    jobs[#jobs + 1] = {id, redis.call('HGETALL', root .. id)}
  end
end

for index = 1, #asked.keys, 2 do
  local id = asked.keys[index]
  local known = redis.call('HMGET', root .. id, 'timestamp', 'pmk')
  if known[1] then
    -- The one that another order has made may still be its own. The same one may be: another worker was faster.
    if known[2] and known[2] ~= asked.keys[index + 1] then give_up_key(id, known[2]) end
    redis.call('HSET', root .. id, 'pmk', asked.keys[index + 1])
  end
end

local KEYLESS, ENOUGH = {}, {}
local MOST_PARKED = 500
local parkings = 0

local function order_key(id)
  local known = redis.call('HMGET', root .. id, 'pmk', 'timestamp')
  local key = known[1]
  if key and string.sub(key, 1, #sign) == sign then
    return key
  end
  return nil, known[2]
end

-- Of the jobs that come next, those without a key.
local function look_ahead(ids)
  for _, id in ipairs(ids) do
    local key, exists = order_key(id)
    if not key and exists then
      wanted[#wanted + 1] = {id, redis.call('HGETALL', root .. id)}
    end
  end
end

-- Whether a job may begin; if not, it is for the caller to take it from its list.
local function may_begin(id)
  local key, exists = order_key(id)
  if not key then
    if exists then error(KEYLESS) end
    return true
  end
  if #key == #sign or take_key(id, key) then
    return true
  end
  parkings = parkings + 1
  if parkings > MOST_PARKED then error(ENOUGH) end
  park(id, key)
  return false
end

local function next_waiting()
  while true do
    local id = redis.call('LINDEX', WAIT, -1)
    if not id or string.sub(id, 1, 2) == '0:' or may_begin(id) then
      return redis.call('RPOPLPUSH', WAIT, ACTIVE)
    end
    -- It may no longer be the last one: handing its key on has put another one there.
    redis.call('LREM', WAIT, -1, id)
  end
end

local function next_prioritized()
  while true do
    local id = redis.call('ZRANGE', PRIORITIZED, 0, 0)[1]
    if not id then
      return {}
    end
    if may_begin(id) then
      redis.call('ZREM', PRIORITIZED, id)
      return {id}
    end
    redis.call('ZREM', PRIORITIZED, id)
  end
end

local source = quick
if sign then
  source = {pcall = redis.pcall, call = function(command, ...)
    if command == 'RPOPLPUSH' then return next_waiting() end
    if command == 'ZPOPMIN' then return next_prioritized() end
    return quick.call(command, ...)
  end}
end

local claim_keys = {WAIT, ACTIVE, PRIORITIZED, EVENTS, STALLED, LIMITER, DELAYED, PAUSED, META, PC, MARKER}
local claim_args = {root, now, asked.claim}
while #jobs < asked.want do
  claim_one = claim_one or claim(source)
  local is_well, got = pcall(claim_one, claim_keys, claim_args)
  if not is_well then
    if got == KEYLESS then
      look_ahead(redis.call('LRANGE', WAIT, -asked.want, -1))
      if #wanted == 0 then
        look_ahead(redis.call('ZRANGE', PRIORITIZED, 0, asked.want - 1))
      end
    elseif got == ENOUGH then
      due = tonumber(now)
    else
      problem = text_of(got)
    end
    break
  elseif type(got[1]) == 'table' then
    claimed[#claimed + 1] = got[2]
    jobs[#jobs + 1] = {got[2], got[1]}
  else
    held_ms, due = got[3], got[4]
    break
  end
end

if #ARGV > 1 or #claimed > 0 or record then
  redis.call('SET', RECORD, cmsgpack.pack({asked.seq, claimed}), 'PX', asked.remember)
end
return {1, codes, jobs, held_ms, due, wanted, problem}
