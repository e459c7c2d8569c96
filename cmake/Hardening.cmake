# SPDX-License-Identifier: MPL-2.0
# Everything that is built makes mistakes in it harder to use: position-independent programs, stack protector, relocations that are
# read-only before main, checked string functions. tests/install/hardened.sh looks at what is installed.
include(CheckPIESupported)
check_pie_supported(OUTPUT_VARIABLE pie_output LANGUAGES C CXX)
if(NOT CMAKE_C_LINK_PIE_SUPPORTED)
  message(WARNING "this compiler cannot link position-independent programs: ${pie_output}")
endif()
add_compile_options(-fstack-protector-strong)
add_link_options(-Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack)
# The checked functions need an optimizer, and the sanitizers have their own.
if(NOT BF_SANITIZE)
  add_compile_options($<$<OR:$<CONFIG:RelWithDebInfo>,$<CONFIG:Release>,$<CONFIG:MinSizeRel>>:-U_FORTIFY_SOURCE>
    $<$<OR:$<CONFIG:RelWithDebInfo>,$<CONFIG:Release>,$<CONFIG:MinSizeRel>>:-D_FORTIFY_SOURCE=2>)
endif()
