-- Rows whose names were read a moment ago; one that was made anew meanwhile stays.
-- KEYS: row names, row expiries, the rows. ARGV: now, the names.
local removed = 0
for n = 2, #ARGV do
  local expiry = redis.call('ZSCORE', KEYS[2], ARGV[n])
  if expiry and tonumber(expiry) <= tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[1 + n])
    redis.call('ZREM', KEYS[2], ARGV[n])
    redis.call('ZREM', KEYS[1], ARGV[n])
    removed = removed + 1
  end
end
return removed
