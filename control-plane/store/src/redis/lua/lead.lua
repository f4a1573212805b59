-- KEYS: leader. ARGV: holder, life in milliseconds. The fencing number outlives every leadership.
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local held = redis.call('HMGET', KEYS[1], 'holder', 'fence', 'ends')
local ends = string.format('%.0f', now + tonumber(ARGV[2]))
if held[1] and tonumber(held[3]) > now then
  if held[1] ~= ARGV[1] then
    return false
  end
  redis.call('HSET', KEYS[1], 'ends', ends)
  return held[2]
end
local fence = string.format('%.0f', tonumber(held[2] or '0') + 1)
redis.call('HSET', KEYS[1], 'holder', ARGV[1], 'fence', fence, 'ends', ends)
return fence
