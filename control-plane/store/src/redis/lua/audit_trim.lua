-- KEYS: meta, audit. ARGV: sequence and hash of the last entry that goes.
local held = redis.call('HMGET', KEYS[1], 'audit_sequence', 'anchor_sequence')
local anchor, before = tonumber(ARGV[1]), tonumber(held[2] or '0')
if anchor <= before or anchor > tonumber(held[1] or '0') then
  return 0
end
redis.call('XTRIM', KEYS[2], 'MINID', string.format('%.0f-0', anchor + 1))
redis.call('HSET', KEYS[1], 'anchor_sequence', ARGV[1], 'anchor_hash', ARGV[2])
return anchor - before
