-- KEYS: meta, feed. ARGV: how many revisions stay.
local held = redis.call('HMGET', KEYS[1], 'head', 'floor')
local before = tonumber(held[2] or '0')
local floor = tonumber(held[1] or '0') - tonumber(ARGV[1])
if floor <= before then
  return 0
end
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f-0', floor + 1))
redis.call('HSET', KEYS[1], 'floor', string.format('%.0f', floor))
return floor - before
