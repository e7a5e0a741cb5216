/* SPDX-License-Identifier: Apache-2.0 */
/* bench_json: JSON lines of the Nexmark suite to records, by our scanner or by simdjson.
 *
 *     bench_json weir|simdjson events.jsonl
 *
 * Both read every field of every line, check types, turn times into milliseconds and lay the texts out
 * as a record's payload, in memory; the checksums of what they made are equal. simdjson is used as it
 * is fastest: on demand, fields asked for in their order, many lines at a time. One JSON line on stdout.
 */
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string_view>

#include <time.h>

#include <simdjson.h>

extern "C" {
#include "apps/nexmark/json.h"
#include "base/crc.h"
#include "dataplane/time_text.h"
}

namespace {

using simdjson::ondemand::object;

constexpr size_t payload_room = 65536;

double
now_ns()
{
    timespec ts;
    (void)clock_gettime(CLOCK_MONOTONIC, &ts);
    return static_cast<double>(ts.tv_sec) * 1e9 + static_cast<double>(ts.tv_nsec);
}

int64_t
number(object &o, const char *name)
{
    return o.find_field(name).get_int64();
}

std::string_view
text_of(object &o, const char *name)
{
    return o.find_field(name).get_string();
}

int64_t
time_of(object &o, const char *name)
{
    std::string_view text = text_of(o, name);
    int64_t ms = 0;
    if (!weir_time_parse(text.data(), text.size(), &ms)) {
        throw simdjson::simdjson_error(simdjson::INCORRECT_TYPE);
    }
    return ms;
}

void
put_texts(const std::string_view *texts, nexmark_event *event, uint8_t *payload)
{
    uint32_t at = nexmark_head_bytes(event->kind);
    memcpy(payload, &event->kind, 4);
    for (uint32_t i = 0; i < nexmark_text_cnt(event->kind); i++) {
        uint32_t bytes = static_cast<uint32_t>(texts[i].size());
        if (at + bytes + 8 > payload_room) {
            throw simdjson::simdjson_error(simdjson::CAPACITY);
        }
        memcpy(payload + NEXMARK_LENGTHS_OFF + 4 * i, &bytes, 4);
        memcpy(payload + at, texts[i].data(), bytes);
        at += bytes;
    }
    memset(payload + at, 0, 8);
    event->payload_bytes = static_cast<uint32_t>(weir_align_up(at, 8));
}

void
read_person(object o, nexmark_event *event, std::string_view *texts)
{
    event->id_or_auction = number(o, "id");
    texts[NEXMARK_PERSON_NAME] = text_of(o, "name");
    texts[NEXMARK_PERSON_EMAIL] = text_of(o, "emailAddress");
    texts[NEXMARK_PERSON_CARD] = text_of(o, "creditCard");
    texts[NEXMARK_PERSON_CITY] = text_of(o, "city");
    texts[NEXMARK_PERSON_STATE] = text_of(o, "state");
    event->time_ms = time_of(o, "dateTime");
    texts[NEXMARK_EXTRA] = text_of(o, "extra");
}

int64_t
read_auction(object o, nexmark_event *event, std::string_view *texts)
{
    event->id_or_auction = number(o, "id");
    texts[NEXMARK_AUCTION_ITEM] = text_of(o, "itemName");
    texts[NEXMARK_AUCTION_DESCRIPTION] = text_of(o, "description");
    event->initial_bid_or_price = number(o, "initialBid");
    int64_t reserve = number(o, "reserve");
    event->time_ms = time_of(o, "dateTime");
    event->expires_ms = time_of(o, "expires");
    event->seller_or_bidder = number(o, "seller");
    event->category = number(o, "category");
    texts[NEXMARK_EXTRA] = text_of(o, "extra");
    return reserve;
}

void
read_bid(object o, nexmark_event *event, std::string_view *texts)
{
    event->id_or_auction = number(o, "auction");
    event->seller_or_bidder = number(o, "bidder");
    event->initial_bid_or_price = number(o, "price");
    texts[NEXMARK_BID_CHANNEL] = text_of(o, "channel");
    texts[NEXMARK_BID_URL] = text_of(o, "url");
    event->time_ms = time_of(o, "dateTime");
    texts[NEXMARK_EXTRA] = text_of(o, "extra");
}

void
read_line(object line, nexmark_event *event, uint8_t *payload)
{
    std::string_view texts[NEXMARK_TEXT_CNT_MAX];
    int64_t reserve = 0;
    memset(event, 0, sizeof *event);
    event->kind = static_cast<uint32_t>(number(line, "event_type"));
    if (event->kind == NEXMARK_PERSON) {
        read_person(line.find_field("person").get_object(), event, texts);
    } else if (event->kind == NEXMARK_AUCTION) {
        reserve = read_auction(line.find_field("auction").get_object(), event, texts);
    } else {
        read_bid(line.find_field("bid").get_object(), event, texts);
    }
    put_texts(texts, event, payload);
    if (event->kind == NEXMARK_AUCTION) {
        memcpy(payload + NEXMARK_RESERVE_OFF, &reserve, 8);
    }
}

struct sums {
    uint64_t events;
    uint32_t crc;
};

uint8_t payload[payload_room];

void
add(sums *sum, const nexmark_event &event)
{
    sum->crc =
        weir_crc32c(weir_crc32c(sum->crc, &event, sizeof event), payload, event.payload_bytes);
    sum->events++;
}

sums
run_simdjson(const char *text, size_t bytes)
{
    simdjson::ondemand::parser parser;
    sums sum = {0, 0};
    simdjson::ondemand::document_stream lines = parser.iterate_many(text, bytes, 1 << 20);
    for (auto line : lines) {
        nexmark_event event;
        read_line(line.get_object(), &event, payload);
        add(&sum, event);
    }
    return sum;
}

sums
run_ours(const char *text, size_t bytes, size_t slack)
{
    sums sum = {0, 0};
    const char *end = text + bytes;
    for (const char *p = text; p < end;) {
        const char *feed = static_cast<const char *>(memchr(p, '\n', static_cast<size_t>(end - p)));
        const char *stop = feed == nullptr ? end : feed;
        nexmark_event event;
        nexmark_line line = {
            p, static_cast<size_t>(stop - p), static_cast<size_t>(end - stop) + slack};
        nexmark_json_fault fault;
        if (line.bytes + NEXMARK_JSON_PAYLOAD_EXTRA_BYTES > payload_room) {
            throw simdjson::simdjson_error(simdjson::CAPACITY);
        }
        if (nexmark_json_read(&line, &event, payload, &fault) != 0) {
            throw simdjson::simdjson_error(simdjson::TAPE_ERROR);
        }
        add(&sum, event);
        p = stop + 1;
    }
    return sum;
}

char *
read_file(const char *path, size_t *ret_bytes)
{
    FILE *file = fopen(path, "rb");
    if (file == nullptr || fseek(file, 0, SEEK_END) != 0) {
        return nullptr;
    }
    size_t bytes = static_cast<size_t>(ftell(file));
    rewind(file);
    char *text = static_cast<char *>(calloc(1, bytes + simdjson::SIMDJSON_PADDING));
    if (text != nullptr && fread(text, 1, bytes, file) != bytes) {
        free(text);
        text = nullptr;
    }
    (void)fclose(file);
    *ret_bytes = bytes;
    return text;
}

} // namespace

int
main(int argc, char **argv)
{
    size_t bytes = 0;
    if (argc != 3 || (strcmp(argv[1], "weir") != 0 && strcmp(argv[1], "simdjson") != 0)) {
        fputs("usage: bench_json weir|simdjson FILE.jsonl\n", stderr);
        return 2;
    }
    char *text = read_file(argv[2], &bytes);
    if (text == nullptr) {
        fprintf(stderr, "bench_json: %s cannot be read\n", argv[2]);
        return 66;
    }
    try {
        double start = now_ns();
        bool is_ours = strcmp(argv[1], "weir") == 0;
        sums result =
            is_ours ? run_ours(text, bytes, simdjson::SIMDJSON_PADDING) : run_simdjson(text, bytes);
        double wall = now_ns() - start;
        printf("{\"name\":\"json-%s\",\"ns_per_event\":%.3f,\"events\":%llu,\"gb_per_s\":%.3f,"
               "\"checksum\":\"%08x\"}\n",
            argv[1], wall / static_cast<double>(result.events),
            static_cast<unsigned long long>(result.events), static_cast<double>(bytes) / wall,
            result.crc);
    } catch (const simdjson::simdjson_error &error) {
        fprintf(stderr, "bench_json: %s\n", error.what());
        free(text);
        return 65;
    }
    free(text);
    return 0;
}
