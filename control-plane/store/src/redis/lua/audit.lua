-- KEYS: meta, audit. ARGV: upper bound, limit.
local entries = {}
if tonumber(ARGV[2]) > 0 then
  entries = redis.call('XREVRANGE', KEYS[2], ARGV[1], '-', 'COUNT', ARGV[2])
end
local held = redis.call('HMGET', KEYS[1], 'audit_sequence', 'audit_hash', 'anchor_sequence', 'anchor_hash')
return {held[1] or '0', held[2] or '', held[3] or '0', held[4] or '', entries}
