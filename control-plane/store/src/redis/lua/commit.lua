-- Documents, indexes, feed and audit in one step. All checks come before the first write.
-- KEYS: meta, feed, audit; per kind: documents, ids, index, values; per fence: leader.
-- ARGV: see `documents::commit`.
local meta, feed, audit = KEYS[1], KEYS[2], KEYS[3]
local at = 0
local function take()
  at = at + 1
  return ARGV[at]
end
local function count()
  return tonumber(take())
end

local fresh, kinds, fences, writes = take(), count(), count(), count()
local entry, keep, channel = take(), count(), take()
local entries, after, after_hash, head, head_hash = count(), take(), take(), take(), take()
local incarnation = history(meta, fresh)

for n = 1, fences do
  local wanted = take()
  local held = redis.call('HMGET', KEYS[3 + kinds * 4 + n], 'fence', 'ends')
  if held[1] ~= wanted or tonumber(held[2]) <= milliseconds() then
    return {'fenced', n - 1}
  end
end
if entries > 0 then
  local held = redis.call('HMGET', meta, 'audit_sequence', 'audit_hash')
  if (held[1] or '0') ~= after or (held[2] or after_hash) ~= after_hash then
    return {'audit', held[1] or '0', held[2] or string.rep('0', 64)}
  end
end

-- The writes, what they find, and the index values that they free.
local list, freed = {}, {}
for n = 1, writes do
  local kind = 4 + (count() - 1) * 4
  local write = {
    documents = KEYS[kind], ids = KEYS[kind + 1], index = KEYS[kind + 2], values = KEYS[kind + 3],
    id = take(), expect = take(), put = take() == 'put', body = take(), json = take(), new = {},
  }
  for i = 1, count() do
    write.new[i] = take()
  end
  local document = redis.call('HGET', write.documents, write.id)
  write.found = document and string.match(document, '^%d+') or '0'
  if write.expect ~= '*' and write.expect ~= write.found then
    return {'conflict', n - 1, write.found}
  end
  local values = redis.call('HGET', write.values, write.id)
  write.old = values and cjson.decode(values) or {}
  for _, value in ipairs(write.old) do
    freed[write.index .. '\n' .. value] = true
  end
  list[n] = write
end
local taken = {}
for n, write in ipairs(list) do
  for _, value in ipairs(write.new) do
    local name = write.index .. '\n' .. value
    local holder = taken[name] or (not freed[name] and redis.call('HGET', write.index, value)) or write.id
    if holder ~= write.id then
      return {'duplicate', n - 1, value, holder}
    end
    taken[name] = write.id
  end
end

local number
if writes > 0 then
  number = string.format('%.0f', redis.call('HINCRBY', meta, 'head', 1))
  for _, write in ipairs(list) do
    for _, value in ipairs(write.old) do
      redis.call('HDEL', write.index, value)
    end
    redis.call('HDEL', write.values, write.id)
  end
  for _, write in ipairs(list) do
    if write.put then
      redis.call('HSET', write.documents, write.id, number .. ':' .. write.body)
      if write.found == '0' then
        redis.call('ZADD', write.ids, 0, write.id)
      end
      for _, value in ipairs(write.new) do
        redis.call('HSET', write.index, value, write.id)
      end
      if #write.new > 0 then
        redis.call('HSET', write.values, write.id, write.json)
      end
    else
      redis.call('HDEL', write.documents, write.id)
      redis.call('ZREM', write.ids, write.id)
    end
  end
  redis.call('XADD', feed, number .. '-0', 'e', entry)
  if tonumber(number) % 1024 == 0 and tonumber(number) > keep then
    local floor = tonumber(number) - keep
    redis.call('XTRIM', feed, 'MINID', string.format('%.0f-0', floor + 1))
    redis.call('HSET', meta, 'floor', string.format('%.0f', floor))
  end
  redis.call('PUBLISH', channel, incarnation .. ':' .. number)
else
  number = redis.call('HGET', meta, 'head') or '0'
end
for n = 1, entries do
  redis.call('XADD', audit, string.format('%.0f-0', tonumber(after) + n), 'e', take())
end
if entries > 0 then
  redis.call('HSET', meta, 'audit_sequence', head, 'audit_hash', head_hash)
end
return {'done', number, incarnation}
