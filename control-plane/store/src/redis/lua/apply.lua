-- Counters, log entries and the marker that says so, in one step.
-- KEYS: markers, marked, row names, row expiries; the rows; per log: positions, bodies.
-- ARGV: source, previous, last, now, rows, logs; per row: name, expiry, adds, raises, then field and value of each;
-- per log: entries, then id, time (14 digits), body of each.
local have = redis.call('HGET', KEYS[1], ARGV[1]) or '0'
if tonumber(have) >= tonumber(ARGV[3]) then
  return {'already', have}
end
if have ~= ARGV[2] then
  return {'gap', have}
end
local rows, logs = tonumber(ARGV[5]), tonumber(ARGV[6])
local at = 6
for n = 1, rows do
  local key, name, expiry = KEYS[4 + n], ARGV[at + 1], ARGV[at + 2]
  local adds, raises = tonumber(ARGV[at + 3]), tonumber(ARGV[at + 4])
  at = at + 4
  local new = redis.call('EXISTS', key) == 0
  for _ = 1, adds do
    local field, amount = ARGV[at + 1], ARGV[at + 2]
    at = at + 2
    local sum = redis.pcall('HINCRBY', key, field, amount)
    if type(sum) == 'table' then
      -- The sum does not fit: it stays at the end of the scale.
      local negative = string.sub(amount, 1, 1) == '-'
      redis.call('HSET', key, field, negative and '-9223372036854775808' or '9223372036854775807')
    end
  end
  for _ = 1, raises do
    local field, value = ARGV[at + 1], ARGV[at + 2]
    at = at + 2
    local held = redis.call('HGET', key, field)
    if not held or tonumber(held) < tonumber(value) then
      redis.call('HSET', key, field, value)
    end
  end
  if new then
    redis.call('ZADD', KEYS[3], 0, name)
    if expiry ~= '' then
      redis.call('ZADD', KEYS[4], expiry, name)
      redis.call('PEXPIREAT', key, expiry)
    else
      redis.call('ZREM', KEYS[4], name)
    end
  end
end
for n = 1, logs do
  local positions, bodies = KEYS[4 + rows + n * 2 - 1], KEYS[4 + rows + n * 2]
  local entries = tonumber(ARGV[at + 1])
  at = at + 1
  for _ = 1, entries do
    local id, time, body = ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    at = at + 3
    local old = redis.call('HGET', bodies, id)
    if old then
      redis.call('ZREM', positions, string.sub(old, 1, 14) .. ':' .. id)
    end
    redis.call('ZADD', positions, 0, time .. ':' .. id)
    redis.call('HSET', bodies, id, time .. body)
  end
end
redis.call('HSET', KEYS[1], ARGV[1], ARGV[3])
redis.call('ZADD', KEYS[2], ARGV[4], ARGV[1])
return {'done', ARGV[3]}
