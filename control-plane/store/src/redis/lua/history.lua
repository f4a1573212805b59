-- Put before the scripts that read or write documents.
-- A server life other than the one seen last may have lost writes: the history then gets a new incarnation, in the
-- same step as whatever the script does, so that no revision number is ever given twice within one incarnation.
local function milliseconds()
  local time = redis.call('TIME')
  return tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
end

local function history(meta, fresh)
  local life = string.match(redis.call('INFO', 'server'), 'run_id:(%w+)')
  local held = redis.call('HMGET', meta, 'server', 'incarnation')
  if held[1] == life and held[2] then
    return held[2]
  end
  redis.call('HSET', meta, 'server', life, 'incarnation', fresh, 'since', string.format('%.0f', milliseconds()))
  redis.call('HSETNX', meta, 'identity', fresh)
  redis.call('HSETNX', meta, 'layout', '1')
  return fresh
end
