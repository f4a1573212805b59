-- KEYS: binding. ARGV: candidate, account that may be replaced, life, renewal bound (milliseconds).
local account = redis.call('GET', KEYS[1])
local left = account and redis.call('PTTL', KEYS[1]) or 0
if account and account ~= ARGV[2] and left > 0 then
  if left < tonumber(ARGV[4]) and left < tonumber(ARGV[3]) then
    redis.call('PEXPIRE', KEYS[1], ARGV[3])
    left = tonumber(ARGV[3])
  end
  return {account, left, 1}
end
redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
return {ARGV[1], tonumber(ARGV[3]), 0}
