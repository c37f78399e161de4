-- Show jobs that changed since they were last mirrored, the longest-waiting first; nothing is un-marked.
-- keys: d b h s
-- args: offset limit
-- Answers a flat list: id, version, body or "", record or "", due or "".
local answer = {}
local changed = redis.call('ZRANGE', d, tonumber(offset), tonumber(offset) + tonumber(limit) - 1, 'WITHSCORES')
for at = 1, #changed, 2 do
  local id = changed[at]
  local record = redis.call('HGET', h, id) or ''
  local due = record == '' and redis.call('ZSCORE', s, id) or ''
  for _, value in ipairs({id, changed[at + 1], redis.call('HGET', b, id) or '', record, due or ''}) do
    answer[#answer + 1] = value
  end
end
return answer
