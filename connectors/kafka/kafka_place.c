#include "kafka_place.h"

#include "base/error.h"
#include "base/log.h"
#include "base/memory.h"

#include "kafka_ask.h"
#include "kafka_probe.h"

#include <inttypes.h>
#include <string.h>

#define COMPONENT "kafka"

enum { FINGERPRINT_FORM = 1, FINGERPRINT_BYTES = 17 };

/* What the log holds now: offsets from `low` to before `high`. */
struct extent {
    uint64_t low, high;
};

/* All partitions of one call. Arrays have an entry for each. */
struct finding {
    const struct kafka_place *place;
    struct kafka_partition *const *partitions;
    const strid_resume *resumes;
    uint32_t count;
    struct extent *extents;
    int64_t *answers; /* of the question that was asked last */
    int64_t *committed;
    struct kafka_probe *probes;
    uint32_t *probed; /* whose the probes are */
    uint32_t probe_count;
};

static bool is_shared(const struct kafka_place *place)
{
    return place->options->assign == KAFKA_ASSIGN_GROUP && !place->keeps_state;
}

static strid_status ask(struct finding *finding, enum kafka_question question, int64_t *out,
                        strid_error *err)
{
    const struct kafka_place *place = finding->place;
    return kafka_ask(place->client, place->brokers, finding->partitions, finding->count, question,
                     place->start.timestamp_ms, out, err);
}

static strid_status find_extents(struct finding *finding, strid_error *err)
{
    STRID_TRY(ask(finding, KAFKA_ASK_FIRST, finding->answers, err));
    for (uint32_t i = 0; i < finding->count; i++)
        finding->extents[i].low = finding->answers[i] < 0 ? 0 : (uint64_t)finding->answers[i];
    STRID_TRY(ask(finding, KAFKA_ASK_END, finding->answers, err));
    for (uint32_t i = 0; i < finding->count; i++) {
        struct extent *extent = &finding->extents[i];
        extent->high = finding->answers[i] < 0 ? 0 : (uint64_t)finding->answers[i];
        if (extent->high < extent->low) /* trimmed between the two questions */
            extent->high = extent->low;
        finding->partitions[i]->end = extent->high;
    }
    return STRID_OK;
}

/* Only what is looked at is asked: a user may be allowed to read, and not to ask for groups. */
static bool needs_committed(const struct finding *finding)
{
    const struct kafka_place *place = finding->place;
    if (place->options->group == NULL)
        return false;
    if (place->options->assign == KAFKA_ASSIGN_GROUP)
        return true;
    bool asked = place->start.kind == KAFKA_START_UNSAID || place->start.kind == KAFKA_START_GROUP;
    for (uint32_t i = 0; asked && i < finding->count; i++)
        if (finding->resumes[i].fresh && !finding->resumes[i].resumed)
            return true;
    return false;
}

static void stop(struct kafka_partition *partition, const char *what, const struct extent *extent)
{
    (void)error_set(&partition->stop, STRID_EGAP, COMPONENT,
                    "%s [%" PRId32 "] %s: offset %" PRIu64 " is next, the log holds %" PRIu64
                    " to before %" PRIu64 "; restore the topic, go on elsewhere with `strid reset` "
                    "or, where records were deleted, pass them with `on_gap: skip`",
                    partition->topic->name, partition->number, what, partition->next, extent->low,
                    extent->high);
}

/* Where reading goes on at a place that was reached before. */
static void go_on(const struct kafka_place *place, struct kafka_partition *partition,
                  const struct extent *extent)
{
    if (partition->next > extent->high)
        stop(partition, "was truncated, or deleted and made anew", extent);
    if (partition->next >= extent->low)
        return;
    if (place->options->on_gap == KAFKA_GAP_STOP) {
        stop(partition, "has lost records that were not read yet, deleted by age or size", extent);
        return;
    }
    log_error(place->log, COMPONENT,
              "%s [%" PRId32 "]: offsets %" PRIu64 " to before %" PRIu64
              " were deleted before they were read, and are skipped (on_gap: skip)",
              partition->topic->name, partition->number, partition->next, extent->low);
    partition->next = extent->low;
}

static strid_status refuse_lost(const struct kafka_place *place,
                                const struct kafka_partition *partition, int64_t committed,
                                strid_error *err)
{
    return error_set(err, STRID_ESTATE, COMPONENT,
                     "the state is empty, but group %s has read %s [%" PRId32 "] up to %" PRId64
                     ": a lost disk, or another state directory? Give back the state, or say "
                     "where to begin: `start: group`, `earliest`, `latest` or `timestamp:MS`",
                     place->options->group, partition->topic->name, partition->number, committed);
}

/* In a group, others may have read on without what is known here. */
static strid_status passed_by(const struct kafka_place *place,
                              const struct kafka_partition *partition, int64_t committed,
                              strid_error *err)
{
    if (place->options->assign == KAFKA_ASSIGN_STATIC || committed <= (int64_t)partition->next)
        return STRID_OK;
    return error_set(err, STRID_ESTATE, COMPONENT,
                     "group %s has read %s [%" PRId32 "] up to %" PRId64 ", the state here up to "
                     "%" PRIu64 ": another node went on without this state. Begin with a new "
                     "state directory and `start:`, or set the group back to where the state is",
                     place->options->group, partition->topic->name, partition->number, committed,
                     partition->next);
}

/* Where a partition begins that was never read here. `time` is the answer for `start`. */
static uint64_t beginning(const struct kafka_place *place, const struct extent *extent,
                          int64_t committed, int64_t time)
{
    switch (place->start.kind) {
    case KAFKA_START_UNSAID:
    case KAFKA_START_EARLIEST:
        break;
    case KAFKA_START_LATEST:
        return extent->high;
    case KAFKA_START_GROUP:
        return committed < 0 ? extent->low : (uint64_t)committed;
    case KAFKA_START_TIMESTAMP:
        return time < 0 ? extent->high : (uint64_t)time; /* all are older */
    }
    return extent->low;
}

/* Partitions that come to a topic later begin at their beginning, wherever the others began. */
static strid_status begin_here(const struct finding *finding, uint32_t i, strid_error *err)
{
    const struct kafka_place *place = finding->place;
    struct kafka_partition *partition = finding->partitions[i];
    const struct extent *extent = &finding->extents[i];
    int64_t committed = finding->committed[i];
    partition->next = extent->low;
    if (!finding->resumes[i].fresh)
        return passed_by(place, partition, committed, err);
    if (place->start.kind == KAFKA_START_UNSAID && committed >= 0)
        return refuse_lost(place, partition, committed, err);
    partition->next = beginning(place, extent, committed, finding->answers[i]);
    if (partition->next < extent->low || partition->next > extent->high)
        stop(partition, "does not hold what its group is to read next", extent);
    return STRID_OK;
}

/* What this node has read of a partition it does not read again, though the group may have been
 * told less: then what is between is done here. */
static void begin_shared(const struct finding *finding, uint32_t i)
{
    struct kafka_partition *partition = finding->partitions[i];
    const struct extent *extent = &finding->extents[i];
    const strid_resume *resume = &finding->resumes[i];
    int64_t committed = finding->committed[i];
    if (committed < 0 && !resume->resumed) {
        partition->next = resume->fresh
                              ? beginning(finding->place, extent, committed, finding->answers[i])
                              : extent->low; /* it came later, as in begin_here */
        return;
    }
    partition->next = committed < 0 ? 0 : (uint64_t)committed;
    if (resume->resumed && resume->position.low > partition->next)
        partition->next = resume->position.low;
    go_on(finding->place, partition, extent);
}

/* An empty one: nothing was there when the partition was met. */
static bool is_fingerprint(struct finding *finding, uint32_t i)
{
    strid_bytes stored = finding->resumes[i].fingerprint;
    if (stored.len == FINGERPRINT_BYTES && stored.data[0] == FINGERPRINT_FORM)
        return true;
    if (stored.len > 0)
        stop(finding->partitions[i],
             "was read by another version of strid, whose fingerprint is not known",
             &finding->extents[i]);
    return false;
}

static void probe_at(struct finding *finding, uint32_t i, uint64_t offset)
{
    const struct extent *extent = &finding->extents[i];
    if (finding->partitions[i]->stop.status != STRID_OK || offset < extent->low ||
        offset >= extent->high)
        return; /* deleted by age; where the log ends before it, the place tells */
    finding->probed[finding->probe_count] = i;
    finding->probes[finding->probe_count++] =
        (struct kafka_probe){.partition = finding->partitions[i], .offset = offset};
}

static strid_status probe(struct finding *finding, strid_error *err)
{
    const struct kafka_place *place = finding->place;
    const struct kafka_probe_args args = {.brokers = place->brokers,
                                          .options = place->options,
                                          .prefetch = place->prefetch,
                                          .log = place->log};
    return kafka_probe_all(&args, finding->probes, finding->probe_count, err);
}

/* Of what is resumed: whether the records that the fingerprints are of are still the same. */
static strid_status check_fingerprints(struct finding *finding, strid_error *err)
{
    finding->probe_count = 0;
    for (uint32_t i = 0; i < finding->count; i++) {
        strid_bytes stored = finding->resumes[i].fingerprint;
        uint64_t at;
        if (!finding->resumes[i].resumed || is_shared(finding->place) ||
            !is_fingerprint(finding, i))
            continue;
        memcpy(&at, stored.data + 1, sizeof at);
        probe_at(finding, i, at);
    }
    STRID_TRY(probe(finding, err));
    for (uint32_t n = 0; n < finding->probe_count; n++) {
        uint32_t i = finding->probed[n];
        uint64_t known;
        memcpy(&known, finding->resumes[i].fingerprint.data + 9, sizeof known);
        if (finding->probes[n].found && finding->probes[n].hash != known)
            stop(finding->partitions[i],
                 "is not the topic that was read, it was deleted and made anew",
                 &finding->extents[i]);
    }
    return STRID_OK;
}

static strid_status take_fingerprints(struct finding *finding, strid_error *err)
{
    finding->probe_count = 0;
    for (uint32_t i = 0; i < finding->count; i++) {
        struct kafka_partition *partition = finding->partitions[i];
        partition->fingerprint_len = 0;
        if (!is_shared(finding->place))
            probe_at(finding, i,
                     partition->next > finding->extents[i].low ? partition->next - 1
                                                               : partition->next);
    }
    STRID_TRY(probe(finding, err));
    for (uint32_t n = 0; n < finding->probe_count; n++) {
        const struct kafka_probe *probed = &finding->probes[n];
        struct kafka_partition *partition = finding->partitions[finding->probed[n]];
        if (!probed->found)
            continue;
        partition->fingerprint[0] = FINGERPRINT_FORM;
        memcpy(partition->fingerprint + 1, &probed->offset, sizeof probed->offset);
        memcpy(partition->fingerprint + 9, &probed->hash, sizeof probed->hash);
        partition->fingerprint_len = FINGERPRINT_BYTES;
    }
    return STRID_OK;
}

static strid_status resume_here(const struct finding *finding, uint32_t i, strid_error *err)
{
    const struct kafka_place *place = finding->place;
    struct kafka_partition *partition = finding->partitions[i];
    STRID_TRY(passed_by(place, partition, finding->committed[i], err));
    if (partition->stop.status == STRID_OK)
        go_on(place, partition, &finding->extents[i]);
    return STRID_OK;
}

static strid_status decide(struct finding *finding, strid_error *err)
{
    for (uint32_t i = 0; i < finding->count; i++) {
        finding->partitions[i]->stop = (strid_error)STRID_ERROR_INIT;
        finding->partitions[i]->next = finding->resumes[i].position.low;
        if (finding->place->options->assign == KAFKA_ASSIGN_GROUP)
            finding->partitions[i]->committed = finding->committed[i];
    }
    STRID_TRY(check_fingerprints(finding, err));
    for (uint32_t i = 0; i < finding->count; i++) {
        if (is_shared(finding->place))
            begin_shared(finding, i);
        else if (finding->resumes[i].resumed)
            STRID_TRY(resume_here(finding, i, err));
        else
            STRID_TRY(begin_here(finding, i, err));
    }
    return finding->place->takes_fingerprints ? take_fingerprints(finding, err) : STRID_OK;
}

strid_status kafka_place_find(const struct kafka_place *place,
                              struct kafka_partition *const *partitions,
                              const strid_resume *resumes, uint32_t count, strid_error *err)
{
    struct finding finding = {.place = place,
                              .partitions = partitions,
                              .resumes = resumes,
                              .count = count,
                              .extents = memory_alloc_zeroed((count + 1) * sizeof *finding.extents),
                              .answers = memory_alloc_zeroed((count + 1) * sizeof *finding.answers),
                              .committed =
                                  memory_alloc_zeroed((count + 1) * sizeof *finding.committed),
                              .probes = memory_alloc_zeroed((count + 1) * sizeof *finding.probes),
                              .probed = memory_alloc_zeroed((count + 1) * sizeof *finding.probed)};
    for (uint32_t i = 0; i < count; i++)
        finding.committed[i] = -1;
    strid_status status = find_extents(&finding, err);
    if (status == STRID_OK && needs_committed(&finding))
        status = ask(&finding, KAFKA_ASK_COMMITTED, finding.committed, err);
    if (status == STRID_OK && place->start.kind == KAFKA_START_TIMESTAMP)
        status = ask(&finding, KAFKA_ASK_TIME, finding.answers, err);
    if (status == STRID_OK)
        status = decide(&finding, err);
    memory_free(finding.extents);
    memory_free(finding.answers);
    memory_free(finding.committed);
    memory_free(finding.probes);
    memory_free(finding.probed);
    return status;
}
