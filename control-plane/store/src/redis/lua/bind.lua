-- KEYS: binding, names and ends of its shelf. ARGV: candidate (empty: none), account that may be replaced, life, renewal
-- bound (milliseconds), the binding's name.
local function note(life)
  local time = redis.call('TIME')
  local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
  redis.call('ZADD', KEYS[2], 0, ARGV[5])
  redis.call('ZADD', KEYS[3], string.format('%.0f', now + tonumber(life)), ARGV[5])
end
local account = redis.call('GET', KEYS[1])
local left = account and redis.call('PTTL', KEYS[1]) or 0
if account and account ~= ARGV[2] and left > 0 then
  if left < tonumber(ARGV[4]) and left < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    left = tonumber(ARGV[3])
    note(left)
  end
  return {account, left, 1}
end
if ARGV[1] == '' then
  return {'', 0, 0}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
note(ARGV[3])
return {ARGV[1], tonumber(ARGV[3]), 0}
