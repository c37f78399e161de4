-- Show jobs that changed since they were last mirrored, the longest-waiting first; nothing is un-marked.
-- keys: d b h s
-- args: offset limit
-- include: time
-- Answers a flat list: id, version, body or "", record or "", due or "".
local answer, ids = {}, {}
local changed = redis.call('ZRANGE', d, tonumber(offset), tonumber(offset) + tonumber(limit) - 1, 'WITHSCORES')
for at = 1, #changed, 2 do ids[#ids + 1] = changed[at] end
local bodies, records = fetch(b, ids), fetch(h, ids)
for index, id in ipairs(ids) do
  local record = records[index] or ''
  local due = record == '' and redis.call('ZSCORE', s, id) or ''
  for _, value in ipairs({id, changed[2 * index], bodies[index] or '', record, due or ''}) do
    answer[#answer + 1] = value
  end
end
return answer
