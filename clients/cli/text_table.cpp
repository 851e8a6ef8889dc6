// Widths are counted in characters of UTF-8.
#include "text_table.hpp"

#include <algorithm>

namespace paysync::cli {

namespace {

size_t width_of(const std::string& text) {
    return static_cast<size_t>(std::count_if(text.begin(), text.end(), [](char c) { return (c & 0xc0) != 0x80; }));
}

std::string shown(const Cell& cell) { return cell ? printable(*cell) : "-"; }

}  // namespace

std::string printable(const std::string& text) {
    std::string safe = text;
    for (size_t i = 0; i < safe.size(); ++i) {
        const auto byte = static_cast<unsigned char>(safe[i]);
        // U+0080 to U+009F, two bytes long, steer terminals as those below 0x20 do.
        const bool steers = byte >= 0x80 && byte <= 0x9f && i > 0 && static_cast<unsigned char>(text[i - 1]) == 0xc2;
        if (byte < 0x20 || byte == 0x7f) safe[i] = '?';
        if (steers) safe.replace(i - 1, 2, "??");
    }
    return safe;
}

std::string text_table(const std::vector<std::string>& titles, const Rows& rows) {
    std::vector<size_t> widths;
    for (size_t column = 0; column < titles.size(); ++column) {
        size_t width = width_of(titles[column]);
        for (const auto& row : rows) width = std::max(width, width_of(shown(row.at(column))));
        widths.push_back(width);
    }
    std::string text;
    const auto put = [&](size_t column, const std::string& cell) {
        text += "  " + cell;
        if (column + 1 < titles.size()) text.append(widths[column] - width_of(cell), ' ');
    };
    for (size_t column = 0; column < titles.size(); ++column) put(column, titles[column]);
    text += '\n';
    for (const auto& row : rows) {
        for (size_t column = 0; column < titles.size(); ++column) put(column, shown(row.at(column)));
        text += '\n';
        for (size_t column = titles.size(); column < row.size(); ++column) {
            if (row[column]) text += "    " + printable(*row[column]) + "\n";
        }
    }
    return text;
}

}  // namespace paysync::cli
