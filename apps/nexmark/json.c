/* SPDX-License-Identifier: Apache-2.0 */
#include "apps/nexmark/json.h"

#include "dataplane/json.h"
#include "dataplane/time_text.h"

enum field_type { FIELD_I64, FIELD_TIME, FIELD_TEXT };

/* Where a whole number or a time goes: an index into struct values. */
enum {
    VALUE_ID,
    VALUE_SELLER,
    VALUE_PRICE,
    VALUE_EXPIRES,
    VALUE_CATEGORY,
    VALUE_TIME,
    VALUE_RESERVE
};
#define VALUE_CNT 7

struct field {
    const char *name;
    const char *literal; /* `,"name":` */
    uint8_t bytes; /* of the literal */
    uint8_t type;
    uint8_t to; /* a value, or a text's index in the payload */
};

#define FIELD(name, type, to)                              \
    {                                                      \
        name, ",\"" name "\":", sizeof(name) + 3, type, to \
    }

/* In the suite's order. */
static const struct field person_fields[] = {
    FIELD("id", FIELD_I64, VALUE_ID),
    FIELD("name", FIELD_TEXT, NEXMARK_PERSON_NAME),
    FIELD("emailAddress", FIELD_TEXT, NEXMARK_PERSON_EMAIL),
    FIELD("creditCard", FIELD_TEXT, NEXMARK_PERSON_CARD),
    FIELD("city", FIELD_TEXT, NEXMARK_PERSON_CITY),
    FIELD("state", FIELD_TEXT, NEXMARK_PERSON_STATE),
    FIELD("dateTime", FIELD_TIME, VALUE_TIME),
    FIELD("extra", FIELD_TEXT, NEXMARK_EXTRA),
};
static const struct field auction_fields[] = {
    FIELD("id", FIELD_I64, VALUE_ID),
    FIELD("itemName", FIELD_TEXT, NEXMARK_AUCTION_ITEM),
    FIELD("description", FIELD_TEXT, NEXMARK_AUCTION_DESCRIPTION),
    FIELD("initialBid", FIELD_I64, VALUE_PRICE),
    FIELD("reserve", FIELD_I64, VALUE_RESERVE),
    FIELD("dateTime", FIELD_TIME, VALUE_TIME),
    FIELD("expires", FIELD_TIME, VALUE_EXPIRES),
    FIELD("seller", FIELD_I64, VALUE_SELLER),
    FIELD("category", FIELD_I64, VALUE_CATEGORY),
    FIELD("extra", FIELD_TEXT, NEXMARK_EXTRA),
};
static const struct field bid_fields[] = {
    FIELD("auction", FIELD_I64, VALUE_ID),
    FIELD("bidder", FIELD_I64, VALUE_SELLER),
    FIELD("price", FIELD_I64, VALUE_PRICE),
    FIELD("channel", FIELD_TEXT, NEXMARK_BID_CHANNEL),
    FIELD("url", FIELD_TEXT, NEXMARK_BID_URL),
    FIELD("dateTime", FIELD_TIME, VALUE_TIME),
    FIELD("extra", FIELD_TEXT, NEXMARK_EXTRA),
};

struct shape {
    const struct field *fields;
    uint32_t field_cnt;
    struct field object; /* the member that holds it */
};

static const struct shape shapes[NEXMARK_KIND_CNT] = {
    {person_fields, WEIR_ARRAY_CNT(person_fields), FIELD("person", 0, 0)},
    {auction_fields, WEIR_ARRAY_CNT(auction_fields), FIELD("auction", 0, 0)},
    {bid_fields, WEIR_ARRAY_CNT(bid_fields), FIELD("bid", 0, 0)},
};
static const struct field type_field = FIELD("event_type", 0, 0);

/* What is known of a line so far. */
struct reader {
    struct weir_json json;
    int64_t values[VALUE_CNT];
    struct weir_json_text texts[NEXMARK_TEXT_CNT_MAX];
    const char *fault_field;
};

static bool
is_field(const struct field *field, const struct weir_json_text *key)
{
    return key->bytes == field->bytes - 4u && memcmp(key->ptr, field->literal + 2, key->bytes) == 0;
}

/* Names and times may be written with escapes: then the text becomes its plain form in room. What
 * is too long for it is no name and no time of ours, and stays as it is. */
#define PLAIN_BYTES_MAX 144
static inline void
make_plain(struct weir_json_text *io_text, char *room)
{
    if (WEIR_UNLIKELY(io_text->has_escapes) && io_text->bytes <= PLAIN_BYTES_MAX) {
        io_text->bytes = (uint32_t)weir_json_unescape(io_text, room);
        io_text->ptr = room;
    }
}

static inline int
read_field(struct reader *reader, const struct field *field)
{
    struct weir_json *json = &reader->json;
    struct weir_json_text text;
    char room[PLAIN_BYTES_MAX];
    int err;
    if (field->type == FIELD_I64) {
        err = weir_json_i64(json, &reader->values[field->to]);
    } else if (field->type == FIELD_TEXT) {
        err = weir_json_text(json, &reader->texts[field->to]);
    } else {
        err = weir_json_text(json, &text);
        if (err != 0) {
            reader->fault_field = field->name;
            return err;
        }
        const char *place = text.ptr;
        make_plain(&text, room);
        if (!weir_time_parse(text.ptr, text.bytes, &reader->values[field->to])) {
            json->at = place;
            err = weir_json_fail(json, "a time YYYY-MM-DD HH:MM:SS.mmm is due");
        }
    }
    if (WEIR_UNLIKELY(err != 0)) {
        reader->fault_field = field->name;
    }
    return err;
}

/* The next member where it is not the one that the suite's order promises. Returns 1 for a field,
 * whose index is set, 2 for an unknown one, which was skipped, 0 at the end, or < 0. */
static int
find_field(struct reader *reader, const struct shape *shape, uint32_t *ret_idx)
{
    struct weir_json_text key;
    char room[PLAIN_BYTES_MAX];
    int more = weir_json_key(&reader->json, &key);
    if (more <= 0) {
        return more;
    }
    make_plain(&key, room);
    for (uint32_t i = 0; i < shape->field_cnt; i++) {
        if (is_field(&shape->fields[i], &key)) {
            *ret_idx = i;
            return 1;
        }
    }
    int err = weir_json_skip(&reader->json);
    return err != 0 ? err : 2;
}

static int
read_object(struct reader *reader, const struct shape *shape)
{
    struct weir_json *json = &reader->json;
    uint32_t seen = 0;
    uint32_t due = 0;
    int err = weir_json_enter(json);
    if (err != 0) {
        reader->fault_field = shape->object.name;
        return err;
    }
    for (;;) {
        uint32_t idx = due;
        if (WEIR_UNLIKELY(
                due == shape->field_cnt ||
                !weir_json_try_key(json, shape->fields[due].literal, shape->fields[due].bytes))) {
            int more = find_field(reader, shape, &idx);
            if (more < 0) {
                return more;
            }
            if (more == 0) {
                break;
            }
            if (more == 2) {
                continue;
            }
        }
        err = read_field(reader, &shape->fields[idx]);
        if (err != 0) {
            return err;
        }
        seen |= 1u << idx;
        due = idx + 1;
    }
    uint32_t missing = ~seen & ((1u << shape->field_cnt) - 1);
    if (WEIR_UNLIKELY(missing != 0)) {
        reader->fault_field = shape->fields[__builtin_ctz(missing)].name;
        return weir_json_fail(json, "the field is missing");
    }
    return 0;
}

/* Copy a text of a payload: short ones in whole vectors, where that reads nothing it must not. */
static inline uint8_t *
put_text(const struct reader *reader, const struct weir_json_text *text, uint8_t *to)
{
    if (WEIR_UNLIKELY(text->has_escapes)) {
        return to + weir_json_unescape(text, (char *)to);
    }
    if (text->bytes <= 32 && reader->json.safe_end - text->ptr >= 32) {
        memcpy(to, text->ptr, 32);
    } else {
        memcpy(to, text->ptr, text->bytes);
    }
    return to + text->bytes;
}

static void
build_event(
    const struct reader *reader, uint32_t kind, struct nexmark_event *ret_event, uint8_t *payload)
{
    uint32_t head = nexmark_head_bytes(kind);
    uint8_t *to = payload + head;
    memcpy(payload, &kind, 4);
    for (uint32_t i = 0; i < nexmark_text_cnt(kind); i++) {
        uint8_t *end = put_text(reader, &reader->texts[i], to);
        uint32_t bytes = (uint32_t)(end - to);
        memcpy(payload + NEXMARK_LENGTHS_OFF + 4 * (size_t)i, &bytes, 4);
        to = end;
    }
    if (kind == NEXMARK_AUCTION) {
        memcpy(payload + NEXMARK_RESERVE_OFF, &reader->values[VALUE_RESERVE], 8);
    }
    uint32_t used = (uint32_t)(to - payload);
    memset(to, 0, 8);
    ret_event->kind = kind;
    ret_event->payload_bytes = (uint32_t)weir_align_up(used, 8);
    ret_event->payload_off = 0;
    ret_event->time_ms = reader->values[VALUE_TIME];
    ret_event->id_or_auction = reader->values[VALUE_ID];
    ret_event->seller_or_bidder = reader->values[VALUE_SELLER];
    ret_event->initial_bid_or_price = reader->values[VALUE_PRICE];
    ret_event->expires_ms = reader->values[VALUE_EXPIRES];
    ret_event->category = reader->values[VALUE_CATEGORY];
}

/* Which members of a line were seen, and where. */
struct outline {
    const char *places[NEXMARK_KIND_CNT]; /* of the values of person, auction and bid */
    const char *done; /* the value that was read */
    int64_t kind;
};

/* The next member of the line: 0..2 person, auction, bid, 3 event_type, 4 another, 5 none; or < 0.
 * The suite's own order is tried first: due is what it promises. */
enum { MEMBER_TYPE = NEXMARK_KIND_CNT, MEMBER_OTHER, MEMBER_END };
static inline int
next_member(struct weir_json *json, uint32_t due)
{
    static const struct field *const members[] = {
        &shapes[0].object, &shapes[1].object, &shapes[2].object, &type_field};
    struct weir_json_text key;
    char room[PLAIN_BYTES_MAX];
    if (due < WEIR_ARRAY_CNT(members) &&
        weir_json_try_key(json, members[due]->literal, members[due]->bytes)) {
        return (int)due;
    }
    int more = weir_json_key(json, &key);
    if (more <= 0) {
        return more == 0 ? MEMBER_END : more;
    }
    make_plain(&key, room);
    for (uint32_t i = 0; i < WEIR_ARRAY_CNT(members); i++) {
        if (is_field(members[i], &key)) {
            return (int)i;
        }
    }
    return MEMBER_OTHER;
}

static int
read_type(struct reader *reader, int64_t *ret_kind)
{
    struct weir_json *json = &reader->json;
    const char *place = json->at;
    int err = weir_json_i64(json, ret_kind);
    if (err == 0 && (*ret_kind < 0 || *ret_kind >= NEXMARK_KIND_CNT)) {
        json->at = place;
        err = weir_json_fail(json, "0, 1 or 2 is due");
    }
    if (err != 0) {
        reader->fault_field = type_field.name;
    }
    return err;
}

/* The members of the line. The objects are remembered by place and skipped: which of them counts
 * may be said behind them. In the suite's order it is said before, and the right one is read at
 * once. */
static int
read_outline(struct reader *reader, struct outline *outline)
{
    struct weir_json *json = &reader->json;
    uint32_t due = MEMBER_TYPE;
    int err = weir_json_enter(json);
    while (err == 0) {
        int member = next_member(json, due);
        if (member < 0) {
            return member;
        }
        if (member == MEMBER_END) {
            return weir_json_end(json);
        }
        due = member == MEMBER_TYPE ? 0 : (uint32_t)member + 1;
        if (member == MEMBER_TYPE) {
            err = read_type(reader, &outline->kind);
            continue;
        }
        if (member < NEXMARK_KIND_CNT) {
            outline->places[member] = json->at;
        }
        if (member == outline->kind && weir_json_type(json) == WEIR_JSON_OBJECT) {
            outline->done = outline->places[member];
            err = read_object(reader, &shapes[member]);
        } else if (!weir_json_try_null(json)) {
            err = weir_json_skip(json);
        }
    }
    return err;
}

static int
read_line(struct reader *reader, int64_t *ret_kind)
{
    struct outline outline = {{NULL, NULL, NULL}, NULL, -1};
    int err = read_outline(reader, &outline);
    int64_t kind = outline.kind;
    if (err != 0) {
        return err;
    }
    if (kind < 0 || outline.places[kind] == NULL) {
        reader->fault_field = kind < 0 ? type_field.name : shapes[kind].object.name;
        return weir_json_fail(&reader->json, "the field is missing");
    }
    *ret_kind = kind;
    if (outline.places[kind] == outline.done) {
        return 0;
    }
    reader->json.at = outline.places[kind];
    return read_object(reader, &shapes[kind]);
}

int
nexmark_json_read(const struct nexmark_line *line, struct nexmark_event *ret_event,
    uint8_t *payload, struct nexmark_json_fault *ret_fault)
{
    struct reader reader;
    int64_t kind = -1;
    weir_json_init(&reader.json, line->text, line->bytes, line->slack);
    memset(reader.values, 0, sizeof reader.values);
    reader.fault_field = NULL;
    int err = read_line(&reader, &kind);
    if (WEIR_UNLIKELY(err != 0)) {
        ret_fault->what = reader.json.fault;
        ret_fault->field = reader.fault_field;
        ret_fault->column = weir_json_column(&reader.json);
        return err;
    }
    build_event(&reader, (uint32_t)kind, ret_event, payload);
    return 0;
}

/* --- writing --- */

static char *
put_i64(char *to, int64_t value)
{
    char digits[20];
    uint32_t cnt = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[cnt++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest != 0);
    if (value < 0) {
        *to++ = '-';
    }
    while (cnt > 0) {
        *to++ = digits[--cnt];
    }
    return to;
}

static int64_t
event_value(const struct nexmark_event *event, const uint8_t *payload, uint32_t value)
{
    switch (value) {
    case VALUE_ID:
        return event->id_or_auction;
    case VALUE_SELLER:
        return event->seller_or_bidder;
    case VALUE_PRICE:
        return event->initial_bid_or_price;
    case VALUE_EXPIRES:
        return event->expires_ms;
    case VALUE_CATEGORY:
        return event->category;
    case VALUE_TIME:
        return event->time_ms;
    default:
        return nexmark_event_reserve(event, payload);
    }
}

/* The value of one field; NULL where it has none that can be written. */
static char *
put_field(
    const struct nexmark_event *event, const uint8_t *payload, const struct field *field, char *to)
{
    struct nexmark_text text;
    if (field->type == FIELD_I64) {
        return put_i64(to, event_value(event, payload, field->to));
    }
    *to++ = '"';
    if (field->type == FIELD_TIME) {
        size_t bytes = weir_time_print(event_value(event, payload, field->to), to);
        if (bytes == 0) {
            return NULL;
        }
        to += bytes;
    } else {
        if (!nexmark_event_text(event, payload, field->to, &text)) {
            return NULL;
        }
        to += weir_json_escape(text.ptr, text.bytes, to);
    }
    *to++ = '"';
    return to;
}

size_t
nexmark_json_write(const struct nexmark_event *event, const uint8_t *payload, char *to)
{
    char *start = to;
    memcpy(to, "{\"event_type\":", 14);
    to = put_i64(to + 14, event->kind);
    for (uint32_t kind = 0; kind < NEXMARK_KIND_CNT; kind++) {
        const struct shape *shape = &shapes[kind];
        memcpy(to, shape->object.literal, shape->object.bytes);
        to += shape->object.bytes;
        if (kind != event->kind) {
            memcpy(to, "null", 4);
            to += 4;
            continue;
        }
        for (uint32_t i = 0; i < shape->field_cnt; i++) {
            const struct field *field = &shape->fields[i];
            memcpy(to, field->literal, field->bytes);
            *to = i == 0 ? '{' : ',';
            to = put_field(event, payload, field, to + field->bytes);
            if (to == NULL) {
                return 0;
            }
        }
        *to++ = '}';
    }
    memcpy(to, "}\n", 2);
    return (size_t)(to + 2 - start);
}
