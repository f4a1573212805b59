-- Names whose ends were read a moment ago; one that was bound anew meanwhile stays.
-- KEYS: names and ends of a shelf, the bindings. ARGV: the names.
local removed = 0
for n = 1, #ARGV do
  if redis.call('EXISTS', KEYS[2 + n]) == 0 then
    redis.call('ZREM', KEYS[1], ARGV[n])
    redis.call('ZREM', KEYS[2], ARGV[n])
    removed = removed + 1
  end
end
return removed
